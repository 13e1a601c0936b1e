"""Layouts of survey files that several connectors share: zips and folders, columns by position or name, codebooks, UCCs."""
