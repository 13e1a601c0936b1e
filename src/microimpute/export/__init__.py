"""Formats that other programs read: one file each, found by `microimpute.registry`."""
