"""The program ``bytemeter``, also as ``python -m cli``."""

import atexit
import sys


def run() -> int:
    """Run the command of the arguments; returns its exit code."""
    try:
        # Imported here, so that Ctrl-C during the import is no traceback.
        from bytemeter.ending import EndingSignals, ignore_late_signals
        from cli.main import main

        # Left by the end of the process only: a late signal changes no exit code. What is registered first runs last.
        atexit.register(ignore_late_signals)
        EndingSignals().__enter__()

        return main()
    except KeyboardInterrupt:
        return 1


if __name__ == "__main__":
    sys.exit(run())
