"""``python -m cli`` is ``bytemeter``."""

import sys

from cli.main import main

sys.exit(main())
