"""Asks the public list of vulnerabilities about each locked version (pip-audit); skipped where it is out of reach."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from requirements.lock import ROOT

# The first is asked alone: if nothing is known of it, the service is not there, and nothing else is asked.
_PROBE = "requirements/uv.txt"
# notebooks.txt holds all that run, test, dev and bench hold.
LOCKS = ("requirements/notebooks.txt", "requirements/build.txt", "serving/superset/requirements.txt")
# Vulnerabilities that do not concern us: id, and why.
ACCEPTED: dict[str, str] = {}
_DEADLINE_S = 300


class NotAnsweredError(Exception):
    """The service does not answer; the message says how."""


def audited(lock: Path) -> list[dict[str, Any]]:
    """The packages of a lock, each with ``name``, ``version`` and ``vulns``, or with a ``skip_reason``.

    Raises:
        NotAnsweredError: pip-audit gave no result.
    """
    options = ["--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
    ignored = [part for id_ in ACCEPTED for part in ("--ignore-vuln", id_)]
    command = [sys.executable, "-m", "pip_audit", *options, *ignored, "-r", str(lock)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_DEADLINE_S)
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        raise NotAnsweredError(f"no answer within {_DEADLINE_S} s") from None
    except (json.JSONDecodeError, KeyError):
        lines = done.stderr.strip().splitlines() or [f"pip-audit ended with {done.returncode}"]
        raise NotAnsweredError(lines[-1][:200]) from None
    return packages


def report(packages: list[dict[str, Any]]) -> list[str]:
    """A line for each vulnerability: what is locked, and the versions that mend it."""
    return [
        f"{package['name']} {package['version']} has the vulnerability {one['id']}; "
        f"expected {' or '.join(one['fix_versions']) or 'a version without it, there is none yet'}: run make lock"
        for package in packages
        for one in package.get("vulns", ())
    ]


def main() -> int:
    """Print the known vulnerabilities of the locks; 1 if there are any, 0 if there are none or nobody can say."""
    found: list[str] = []
    try:
        if "skip_reason" in audited(ROOT / _PROBE)[0]:
            print("vulnerabilities: skipped: the package index has no list of them")
            return 0
        for lock in LOCKS:
            packages = audited(ROOT / lock)
            found += [f"{lock}: {line}" for line in report(packages)]
            unknown = sum("skip_reason" in package for package in packages)
            print(f"vulnerabilities: asked about {len(packages)} packages of {lock}, {unknown} of them unknown")
    except NotAnsweredError as error:
        print(f"vulnerabilities: skipped: {error}")
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
