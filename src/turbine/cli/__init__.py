"""The command line `turbine`: one command module a noun, each a thin edge around what a runtime can do.

Nothing that `import turbine` needs may live here, and no command decides what the rooms below decide already.
"""

import signal


def main() -> None:
    """Carry out the command that the arguments name; ends the process with its exit code."""
    # SIGTERM ends a command as Ctrl-C does: it cleans up behind itself.
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    from turbine.cli.app import app

    app(prog_name="turbine")
