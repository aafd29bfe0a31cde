"""Each rule that is broken on purpose is seen by the test that docs/reliability.md names."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.breaks import BREAKS, Break
from tests.seeds import SEED

ROOT = Path(__file__).parents[1]
LEFT_OUT = (".*", "build", "dist", "*.egg-info", "images", "__pycache__")
# pytest's exit code where tests failed; others say that it did not come to them.
FAILED = 1


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All breaks with --full; else one whose test takes no server, drawn by the seed."""
    if "broken" in metafunc.fixturenames:
        full = metafunc.config.getoption("--full")
        drawn = random.Random(SEED).choice([one for one in BREAKS if not one.servers])
        metafunc.parametrize("broken", BREAKS if full else [drawn], ids=lambda one: one.rule.replace(" ", "_"))


def test_each_break_changes_one_place_and_stands_in_the_docs_with_its_test() -> None:
    docs = (ROOT / "docs" / "reliability.md").read_text()
    for one in BREAKS:
        assert (ROOT / one.file).read_text().count(one.old) == 1, one.rule
        path, _, name = one.test.partition("::")
        assert f"def {name}(" in (ROOT / path).read_text(), one.rule
        (row,) = [line for line in docs.splitlines() if line.startswith(f"| {one.rule} |")]
        assert path in row, one.rule


def test_a_broken_rule_fails_its_test(broken: Break, tmp_path: Path) -> None:
    shutil.copytree(ROOT, tmp_path / "copy", ignore=shutil.ignore_patterns(*LEFT_OUT))
    file = tmp_path / "copy" / broken.file
    file.write_text(file.read_text().replace(broken.old, broken.new))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--quiet", "--exitfirst", "-p", "no:cacheprovider", broken.test],
        cwd=tmp_path / "copy",
        env={**os.environ, "PYTHONPATH": str(tmp_path / "copy"), "BYTEMETER_TEST_SEED": str(SEED)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == FAILED, done.stdout + done.stderr
