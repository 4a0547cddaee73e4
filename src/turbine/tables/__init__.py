"""All SQL of Turbine, in plain functions of a transaction: one `.py` and one `.sql` file for each subject.

A function decides with `where … returning`. It returns an error to refuse and raises only when something is broken.
Every write for a run names the run, its fencing number and (through `tx.executor`) its owner; where these no longer
match, nothing is written and the answer says why.
"""
