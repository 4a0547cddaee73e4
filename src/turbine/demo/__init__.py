"""The demo: an inventory that survives `kill -9`, and a small shop behind the dashboard.

It uses Turbine as an application does: through runtimes, workflows and HTTP, never through tables.
"""
