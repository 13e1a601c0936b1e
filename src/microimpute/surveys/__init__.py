"""Connectors: one file per survey, from the files as they are published to a `Survey`."""
