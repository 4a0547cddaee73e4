"""Loops: named tasks that find rows which are due and act on them.

A wake only makes a tick come early; every loop also ticks by itself. Nothing in memory is the truth: two processes that
run the same loops on the same rows come to the same end.
"""
