"""Reading file layouts: what several connectors share, from bytes to columns."""
