"""``python -m stack`` is ``bytemeter``."""

import sys

from stack.cli import main

sys.exit(main())
