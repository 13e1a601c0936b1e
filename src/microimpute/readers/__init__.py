"""Layouts of survey files that several connectors share."""
