"""Records and statuses: frozen dataclasses and string enums, with the arithmetic that belongs to them and no I/O."""
