"""What anyone may ask: validate, then one read or one write. Edges translate, actions decide, loops move.

An action gets a `Port` and plain arguments, and is the same for code, HTTP and the command line.
"""
