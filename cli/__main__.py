"""The program ``bytemeter``, also as ``python -m cli``."""

import sys


def run() -> int:
    """Run the command of the arguments; returns its exit code."""
    try:
        # Imported here, so that Ctrl-C during the import is no traceback.
        from bytemeter.ending import EndingSignals
        from cli.main import main

        # Left by the end of the process only: a late signal changes no exit code.
        EndingSignals().__enter__()

        return main()
    except KeyboardInterrupt:
        return 1


if __name__ == "__main__":
    sys.exit(run())
