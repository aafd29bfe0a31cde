"""The locks hold what pyproject.toml asks for, with hashes, and name no index."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from requirements.lock import ROOT, SOURCES

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = ("3.11.9", "3.12.3", "3.13.1")


def locked(lock: str, python: str) -> dict[str, str]:
    """The versions that a lock gives a Python on Linux, by name."""
    at = {"python_version": python.rpartition(".")[0], "python_full_version": python}
    found = [Requirement(line) for line in re.findall(r"^(\S+==[^\\]+) \\$", (ROOT / lock).read_text(), re.MULTILINE)]
    chosen = [one for one in found if one.marker is None or one.marker.evaluate({"extra": "", **at})]
    assert len({one.name for one in chosen}) == len(chosen) > 0
    return {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in chosen}


def asked(sources: tuple[str, ...]) -> Iterator[Requirement]:
    """The requirements of the sources of a lock: of pyproject.toml with its extras, or of a file."""
    if sources[0] == "pyproject.toml":
        extras = [value for option, value in itertools.pairwise(sources) if option == "--extra"]
        of_extras = [line for extra in extras for line in PROJECT["optional-dependencies"][extra]]
        yield from map(Requirement, [*PROJECT["dependencies"], *of_extras])
    else:
        lines = (ROOT / sources[0]).read_text().splitlines()
        yield from (Requirement(line) for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", SOURCES)
def test_each_requirement_is_met_by_the_lock(lock: str, python: str) -> None:
    versions = locked(lock, python)
    unmet = [
        f"{one}, locked {versions.get(canonicalize_name(one.name))}"
        for one in asked(SOURCES[lock])
        if canonicalize_name(one.name) not in versions
        or not one.specifier.contains(versions[canonicalize_name(one.name)], prereleases=True)
    ]
    assert unmet == [], "run `make lock ONLY=<name>`"


@pytest.mark.parametrize("lock", SOURCES)
def test_each_package_has_hashes_and_no_index_is_named(lock: str) -> None:
    text = (ROOT / lock).read_text()
    packages = re.findall(r"^\S+==.*(?:\n    --hash=.*)*", text, re.MULTILINE)
    without = [package for package in packages if not re.search(r"--hash=sha256:[0-9a-f]{64}", package)]
    assert without == []
    assert "://" not in text


@pytest.mark.parametrize("python", PYTHONS)
def test_the_locks_of_this_project_agree(python: str) -> None:
    whole = locked("requirements/notebooks.txt", python)
    for lock in ("bench", "dev", "run", "executor"):
        assert locked(f"requirements/{lock}.txt", python).items() <= whole.items(), lock


def test_every_lock_is_raised_by_the_command() -> None:
    texts = [path for folder in ("requirements", "serving", "benchmarks") for path in (ROOT / folder).rglob("*.txt")]
    assert {str(path.relative_to(ROOT)) for path in texts if "--hash=" in path.read_text()} == set(SOURCES)
