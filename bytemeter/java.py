"""Finds the Java that runs Spark and the embedded broker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from bytemeter.errors import BytemeterError
from bytemeter.versions import JAVA


def java_home() -> Path:
    """The folder of a supported Java: that of ``JAVA_HOME`` if set, else of the first ``java`` on the PATH.

    Raises:
        BytemeterError: there is no Java, or its major version is not one of ``versions.JAVA``.
    """
    remedy = "install Java 17 or 21 (e.g. apt install openjdk-17-jre-headless) and point JAVA_HOME at it"
    configured = os.environ.get("JAVA_HOME")
    program = shutil.which("java", path=f"{configured}/bin") if configured else shutil.which("java")
    if program is None:
        where = f"JAVA_HOME={configured}" if configured else "the PATH"
        raise BytemeterError(f"no Java found in {where}; {remedy}")
    version = _major_version(program)
    if version not in JAVA:
        raise BytemeterError(f"{program} is Java {version}, Spark 4 needs {JAVA[0]} or {JAVA[1]}; {remedy}")
    return Path(program).resolve().parent.parent


def _major_version(program: str) -> int | None:
    # The file ``release`` of an installation has the version: a process would take a tenth of a second.
    release = Path(program).resolve().parent.parent / "release"
    if release.exists():
        output = release.read_text()
    else:
        output = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    # Java 8 calls itself 1.8.
    match = re.search(r'(?:version |JAVA_VERSION=)"(?:1\.)?(\d+)', output)
    return int(match.group(1)) if match else None
