"""Motion: duties that find rows which are due and act on them.

A duty has a `tick` that does what is due and says when to come back. A wake only makes a tick come early; every duty
also looks once a second without one. Nothing here is the truth: two processes running the same duties on the same rows
come to the same end.
"""
