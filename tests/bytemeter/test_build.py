"""A main and the package that it imports are of the same build."""

from __future__ import annotations

from pathlib import Path

import pytest

from bytemeter.build import require_same_build, stamped
from bytemeter.dist import build
from bytemeter.errors import BytemeterError
from requirements.lock import ROOT


def test_the_same_sources_give_the_same_build(tmp_path: Path) -> None:
    first, second = ({path.name: path.read_bytes() for path in build(tmp_path / name)} for name in ("a", "b"))
    assert first == second
    assert first["jars-4.1.txt"] != first["jars-4.0.txt"]
    assert first["stream_usage.py"].startswith((ROOT / "speed_layer/jobs/stream_usage.py").read_bytes())


def test_a_main_of_another_build_is_refused(tmp_path: Path) -> None:
    main = tmp_path / "hourly_usage.py"
    main.write_bytes(stamped(b"import sys\n", "0123456789ab"))
    with pytest.raises(
        BytemeterError, match="^hourly_usage.py is of the build 0123456789ab, .* imports of a checkout; [^\n]+$"
    ):
        require_same_build(main)


def test_a_main_of_a_checkout_has_no_build_and_runs() -> None:
    require_same_build(ROOT / "batch_layer/jobs/hourly_usage.py")
