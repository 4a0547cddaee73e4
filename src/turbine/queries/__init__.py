"""Reads for pages: each query takes one snapshot of the database and returns records. Nothing here writes."""
