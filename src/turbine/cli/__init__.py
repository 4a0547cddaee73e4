"""The command line `turbine`: one command module a noun, each a thin edge around what a runtime can do.

Nothing that `import turbine` needs may live here, and no command decides what the rooms below decide already.
"""

import signal
import sys

from turbine.platform import ENDING_SIGNALS


def main() -> None:
    """Carry out the command that the arguments name; ends the process with its exit code."""
    # Ctrl-C and SIGTERM end a command alike: it cleans up behind itself. Shells start what runs in the background with
    # SIGINT ignored, and Python leaves that so.
    for ending in ENDING_SIGNALS:
        signal.signal(ending, signal.default_int_handler)
    # What users name and write has characters that the code page of a terminal may not have.
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None and sys.stdout.errors == "strict":
        reconfigure(errors="backslashreplace")
    from turbine.cli.app import app

    app(prog_name="turbine")
