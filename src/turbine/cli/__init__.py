"""The command line `turbine`: one command module a noun, each a thin edge around what a runtime can do.

Nothing that `import turbine` needs may live here, and no command decides anything that the rooms below decide already.
"""


def main() -> None:
    """Run the command that the arguments name; ends the process with its exit code."""
    from turbine.cli.app import app

    app(prog_name="turbine")
