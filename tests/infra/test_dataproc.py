"""What brings Python's packages to Dataproc, and the page that tells how jobs run there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bytemeter.dist import build
from bytemeter.versions import CLUSTER_IMAGES, EXECUTOR_PACKAGES, JAVA, PYTHON, RELEASES, SERVERLESS_RUNTIMES
from cli.commands import submit
from cli.main import main

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra" / "dataproc"
PAGE = (ROOT / "docs" / "dataproc.md").read_text()
LINES = [line for block in re.findall(r"```\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


def test_the_script_of_a_cluster_is_sound() -> None:
    subprocess.run(["bash", "-n", INFRA / "packages.sh"], check=True)
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed: the script is checked by bash -n only")
    subprocess.run(["shellcheck", INFRA / "packages.sh"], check=True)


def test_a_machine_gets_the_lock_of_its_role_and_the_clusters_spark(tmp_path: Path) -> None:
    """The script itself, with a bucket that is a folder; the packages are left out of the lock."""
    bucket, spark = tmp_path / "bucket", tmp_path / "spark"
    for file in (bucket / "cluster-driver.txt", spark / "python/lib/py4j-1-src.zip"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    script, environment = sandboxed(tmp_path, bucket, spark)
    subprocess.run(["bash", "-c", script], env={**environment, "ROLE": "Master"}, check=True, capture_output=True)
    assert [path.name for path in (tmp_path / "opt").glob("*.txt")] == ["cluster-driver.txt"]
    (links,) = (tmp_path / "opt/venv").rglob("spark.pth")
    assert links.read_text().splitlines() == [f"{spark}/python", f"{spark}/python/lib/py4j-1-src.zip"]
    refused = subprocess.run(
        ["bash", "-c", script], env={**environment, "ROLE": "Worker"}, check=False, capture_output=True, text=True
    )
    assert refused.returncode == 1
    assert "gs://code/x/executor.txt cannot be read; upload what make dist has written" in refused.stderr


def sandboxed(root: Path, bucket: Path, spark: Path) -> tuple[str, dict[str, str]]:
    """The script with its places below a folder, and an environment in which the bucket is another one."""
    script = (INFRA / "packages.sh").read_text()
    for path, place in {
        "/opt/bytemeter": f"{root}/opt",
        "/usr/lib/spark": str(spark),
        "/usr/share/google/": f"{root}/bin/",
        "/opt/conda/default/bin/python3": sys.executable,
    }.items():
        assert path in script
        script = script.replace(path, place)
    programs = {
        "get_metadata_value": 'case "$1" in */dataproc-role) echo "$ROLE" ;; */bytemeter-code) echo code/x ;; esac',
        "gcloud": f'cp "$(echo "$3" | sed "s|gs://code/x|{bucket}|")" "$4"',
    }
    for name, text in programs.items():
        program = root / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    return script, {**os.environ, "PATH": f"{root}/bin:{os.environ['PATH']}"}


def test_script_and_image_have_a_supported_python_and_what_executors_need(tmp_path: Path) -> None:
    script, image = ((INFRA / name).read_text() for name in ("packages.sh", "Dockerfile"))
    assert f"not in {PYTHON}" in script
    (version,) = re.findall(r"^FROM python:(\d+)\.(\d+)-slim", image, re.MULTILINE)
    assert tuple(map(int, version)) in PYTHON
    locks = {path.name: path.read_text() for path in build(tmp_path) if path.suffix == ".txt"}
    for text in (script, image):
        named = set(re.findall(r"[\w-]+\.txt", text))
        assert named <= set(locks)
        for lock in named:
            assert all(f"\n{package}==" in locks[lock] for package in EXECUTOR_PACKAGES)
        assert "--require-hashes" in text
    assert "--uid 1099 --gid 1099" in image
    assert image.rstrip().endswith("USER spark")


def test_the_pages_runtimes_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (serverless|cluster image) ([\d.]+).*? \| ([\d.]+), (\d+), [\d.]+ \| (.*) \|$", PAGE, re.M)
    assert len(rows) == len(CLUSTER_IMAGES) + len(SERVERLESS_RUNTIMES)
    for kind, runtime, spark, java, connectors in rows:
        minor = (SERVERLESS_RUNTIMES if kind == "serverless" else CLUSTER_IMAGES)[runtime]
        assert spark.startswith(minor)
        if minor in RELEASES:
            versions = [jar.rpartition(":")[2] for jar in (RELEASES[minor].kafka, RELEASES[minor].delta)]
            assert connectors == "Kafka {}, Delta {}".format(*versions)
            assert int(java) in JAVA
        else:
            assert connectors.startswith("not supported")


def test_what_the_page_submits_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(submit, "_cache", lambda: tmp_path)
    for line in LINES:
        if line.startswith("export "):
            for name, _, value in (word.partition("=") for word in shlex.split(line)[1:]):
                monkeypatch.setenv(name, value)
    lines = [line.partition("bytemeter submit ")[2] for line in LINES if "bytemeter submit " in line]
    assert {line.split()[0] for line in lines} == set(submit.submit.commands)
    for line in lines:
        assert main(["submit", *shlex.split(line), "--print"]) == 0, line
        assert capsys.readouterr().out.count("gcloud dataproc") in (1, 2)


def test_what_the_page_asks_of_gcloud_is_taken(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """The commands with the most flags; with ``--full`` all of them."""
    if shutil.which("gcloud") is None:
        pytest.skip("gcloud is not installed: whether it takes the page's commands is not tested")
    # Without any login: it takes the arguments apart, then says that.
    environment = {
        **os.environ,
        "CLOUDSDK_CONFIG": str(tmp_path),
        "CLOUDSDK_CORE_PROJECT": "usage-trial-1",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
    }

    def said(line: str) -> str:
        words = shlex.split(line)
        return subprocess.run(
            words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        ).stderr

    every = sorted((line for line in LINES if line.startswith("gcloud ")), key=len, reverse=True)
    commands = every if pytestconfig.getoption("--full") else every[:4]
    with ThreadPoolExecutor(2) as pool:
        for line, error in zip(commands, pool.map(said, commands), strict=True):
            assert "You do not currently have an active account selected" in error, (line, error)
