"""Layouts of survey files that several connectors share: zips, columns by position or name, codebooks, UCCs."""
