"""The edge for browsers and programs: routes, sign-in, the event stream, and the files of the dashboard.

A route translates: it reads a request, calls one action, and shows what came back. Nothing here decides about runs,
and nothing below knows that HTTP exists. Every change goes through `Desk.change`, so that it leaves its line in the
audit, in its own transaction.
"""
