"""The seed of this run, from which all that is random in tests is drawn: another one each time, unless it is given."""

from __future__ import annotations

import os
import random

VARIABLE = "BYTEMETER_TEST_SEED"
# Read before the settings of the shell are taken out of the environment.
GIVEN = os.environ.get(VARIABLE, "")
# numpy takes no larger one.
USABLE = GIVEN.isdecimal() and int(GIVEN) < 2**32
SEED = int(GIVEN) if USABLE else random.SystemRandom().randrange(10_000, 10**6)
