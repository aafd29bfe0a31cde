"""Where the tables of these tests are."""

from pathlib import Path

import pytest


@pytest.fixture
def history_root(tmp_path: Path) -> str:
    """A folder for a history."""
    return str(tmp_path / "history")
