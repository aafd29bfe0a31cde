"""Finds the Java that runs Spark and the broker, and says clearly when there is none that can."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from bytemeter.errors import BytemeterError

SUPPORTED = (17, 21)


def java_home() -> Path:
    """The folder of a supported Java: ``JAVA_HOME`` if set, else that of ``java`` on the PATH.

    Raises:
        BytemeterError: none is found, or its version is not one of ``SUPPORTED``.
    """
    remedy = "install Java 17 or 21 (e.g. apt install openjdk-17-jre-headless) and point JAVA_HOME at it"
    configured = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{configured}/bin") if configured else shutil.which("java")
    if found is None:
        where = f"JAVA_HOME={configured}" if configured else "the PATH"
        raise BytemeterError(f"no Java found in {where}; {remedy}")
    version = _major_version(found)
    if version not in SUPPORTED:
        raise BytemeterError(f"{found} is Java {version}, Spark 4 needs {SUPPORTED[0]} or {SUPPORTED[1]}; {remedy}")
    return Path(found).resolve().parent.parent


def _major_version(java: str) -> int | None:
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    match = re.search(r'version "(?:1\.)?(\d+)', told)
    return int(match.group(1)) if match else None
