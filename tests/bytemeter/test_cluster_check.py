"""What is wrong with the Python of an executor, as the probe that runs there finds it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from bytemeter.cluster_check import executor_faults, probe_command
from bytemeter.versions import EXECUTOR_PACKAGES
from requirements.lock import ROOT

OWN = list(sys.version_info[:3])


def probed(folder: Path, python: str = sys.executable) -> str:
    """The line that the probe prints in the folder of an executor."""
    done = subprocess.run(probe_command(python), cwd=folder, capture_output=True, text=True, check=True, input="1\n")
    (line,) = done.stdout.splitlines()
    return line


def found(**what: Any) -> str:
    return json.dumps({"python": OWN, "packages": dict(EXECUTOR_PACKAGES), "build": ""} | what)


def test_an_executor_like_the_driver_has_no_fault(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "bytemeter.zip", "w") as archive:
        archive.writestr("bytemeter/__init__.py", "")
    assert list(executor_faults(probed(tmp_path))) == []


def test_the_probe_runs_the_zip_of_the_executor_and_names_its_build(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "bytemeter.zip", "w") as archive:
        archive.writestr("bytemeter/__init__.py", "")
        archive.writestr("bytemeter/build.txt", "0123456789ab")
    (fault,) = executor_faults(probed(tmp_path))
    assert fault.startswith("its package bytemeter is of the build 0123456789ab, the driver's of a checkout; give ")


def test_a_python_that_does_not_run_is_named_by_what_the_shell_says(tmp_path: Path) -> None:
    (fault,) = executor_faults(probed(tmp_path, str(tmp_path / "python")))
    assert fault.startswith("it does not run (")
    assert "not found" in fault


@pytest.mark.parametrize("version", [None, "17.0.0", "9.1"])
def test_a_package_that_is_missing_or_too_old_is_named(version: str | None) -> None:
    (fault,) = executor_faults(found(packages=EXECUTOR_PACKAGES | {"pyarrow": version}))
    assert fault.startswith(
        f"it has {'no pyarrow' if version is None else f'pyarrow {version}'}, expected 18 or later; "
    )


def test_another_minor_version_of_python_is_named_and_another_patch_is_not() -> None:
    assert list(executor_faults(found(python=[*OWN[:2], OWN[2] + 1]))) == []
    (fault,) = executor_faults(found(python=[3, 99, 0]))
    assert fault.startswith(f"it is Python 3.99, the driver's is 3.{OWN[1]}; give both the same")


def test_the_least_versions_are_those_of_the_project() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    for name, least in EXECUTOR_PACKAGES.items():
        assert f'"{name}>={least}' in project


def test_a_missing_zip_is_named() -> None:
    faults = list(executor_faults(found(build=None)))
    assert faults == ["it has no package bytemeter; give spark-submit --py-files bytemeter.zip"]
