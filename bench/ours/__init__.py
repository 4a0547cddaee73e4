"""Turbine's side of every case: programs a user could write, on the public contract only."""
