"""Which licences are allowed, and how they are read from metadata."""

from __future__ import annotations

from importlib.metadata import Distribution
from pathlib import Path

import pytest

from requirements.licences import allowed, licence, refused


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT AND Apache-2.0", True),
        ("MIT AND (Apache-2.0 OR BSD-3-Clause)", True),
        ("MIT OR (Apache-2.0 AND GPL-3.0-only)", False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
    ],
)
def test_an_expression_is_allowed_if_it_can_be_kept(expression: str, expected: bool) -> None:
    assert allowed(expression) is expected


def put(packages: Path, name: str, *lines: str) -> Distribution:
    """A distribution that has these lines in its metadata."""
    folder = packages / f"{name}-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1", *lines, ""]))
    return Distribution.at(folder)


def test_the_expression_is_taken_before_classifiers_and_text(tmp_path: Path) -> None:
    osi = "Classifier: License :: OSI Approved"
    assert licence(put(tmp_path, "a", "License-Expression: 0BSD", f"{osi} :: MIT License", "License: GPL")) == "0BSD"
    assert licence(put(tmp_path, "b", osi, f"{osi} :: MIT License", "License: GPL")) == "MIT"
    assert licence(put(tmp_path, "c", "License: MIT License", "        Copyright: us")) == "MIT"
    assert licence(put(tmp_path, "d")) == ""


def test_a_distribution_that_is_not_allowed_is_named(tmp_path: Path) -> None:
    put(tmp_path, "good", "License-Expression: MIT")
    assert refused([str(tmp_path)]) == []
    put(tmp_path, "strict", "License-Expression: AGPL-3.0-only")
    put(tmp_path, "silent")
    silent, strict = refused([str(tmp_path)])
    assert strict.startswith("strict is under AGPL-3.0-only; expected one of ")
    assert silent.startswith("silent is under no licence that its metadata name; expected one of ")
