"""The builders of ``tests.builders`` under their former name."""

from tests.builders import agreement as agreement
from tests.builders import record as record
from tests.builders import utc as utc
