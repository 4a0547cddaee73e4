"""The HTTP edge: routes translate requests into operations and queries, and records into responses.

It does not know tables or the store, and nothing below it knows HTTP.
"""
