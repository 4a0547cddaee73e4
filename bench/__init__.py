"""Figures, not tests: what a durable step costs here, beside the bare driver and beside a peer.

`bench/run` is the door. Nothing in this folder is imported by the product, and no figure here may be written by hand.
"""
