"""``bytemeter`` as the scheduler starts it: ``python -m cli.attended batch hourly …``.

It ends, as after SIGTERM, when its standard input closes: the scheduler is gone, and another one may take over.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from bytemeter.job import RUNNER
from cli.__main__ import run


def _end_with_the_scheduler() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_scheduler, name="scheduler", daemon=True).start()
    RUNNER.set("schedule")
    sys.exit(run())
