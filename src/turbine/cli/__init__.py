"""The command line `turbine`. Commands translate arguments into requests to the HTTP API, and answers into text.

`import turbine` needs nothing of this package, and no command decides what the API decides.
"""

import signal
import sys

from turbine.platform import ENDING_SIGNALS


def main() -> None:
    """Run the command that the arguments name; ends the process with its exit code."""
    # Ctrl-C and SIGTERM end a command alike, after it has cleaned up. Shells start background commands with SIGINT
    # ignored, and Python leaves it so.
    for ending in ENDING_SIGNALS:
        signal.signal(ending, signal.default_int_handler)
    # The code page of a terminal may lack characters of names and payloads.
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None and sys.stdout.errors == "strict":
        reconfigure(errors="backslashreplace")
    from turbine.cli.app import app

    app(prog_name="turbine")
