"""Reads for pages of the API, each one consistent snapshot. They change nothing and leave no line in the audit."""
