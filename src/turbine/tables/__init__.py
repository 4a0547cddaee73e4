"""All SQL about nouns: plain functions of a transaction, one `.py` and one `.sql` for each noun.

A function decides with `where … returning`; it returns an error to refuse and raises only when something is broken.
Every write of a run names the run, its fencing number and (through `tx.executor`) its owner; where these do not match
any more nothing is written and the answer says why.
"""
