"""Distances, neighbours and assignments: what methods that take whole donors share."""
