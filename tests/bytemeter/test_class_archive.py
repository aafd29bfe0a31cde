"""Class archives of Spark's JVM: each installation has its own, and few are kept."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bytemeter.class_archive import ClassArchive, class_archive
from bytemeter.java import java_home


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A Java and a jar, with a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    java, jar = tmp_path / "java" / "bin" / "java", tmp_path / "some.jar"
    java.parent.mkdir(parents=True)
    java.write_text("17")
    jar.write_text("classes")
    return tmp_path / "java", jar


def test_another_jar_or_another_java_has_another_archive(installation: tuple[Path, Path]) -> None:
    java, jar = installation
    first = class_archive(java, [jar])
    assert class_archive(java, [jar]) == first
    jar.write_text("other classes")
    second = class_archive(java, [jar])
    os.utime(java / "bin" / "java", (1, 1))
    assert len({first.path, second.path, class_archive(java, [jar]).path}) == 3


def test_only_the_newest_archives_are_kept(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    abandoned = tmp_path / "cache" / "spark-x.1.draft"
    abandoned.touch()
    os.utime(abandoned, (1, 1))
    for n in range(5):
        archive = ClassArchive(tmp_path / "cache" / f"spark-{n}.jsa")
        archive.options_to_write()
        archive._draft.touch()
        os.utime(archive._draft, (n, n))
        archive.keep()
        assert archive.exists()
    assert sorted(path.stem for path in (tmp_path / "cache").iterdir()) == ["spark-2", "spark-3", "spark-4"]


def test_a_jvm_writes_the_archive_and_starts_from_it(tmp_path: Path) -> None:
    archive = ClassArchive(tmp_path / "a folder" / "spark.jsa")
    java = shutil.which("java", path=str(java_home() / "bin"))
    arguments = tmp_path / "arguments"

    def run(options: str) -> None:
        arguments.write_text(f"{options} --version")
        done = subprocess.run([str(java), f"@{arguments}"], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")

    run(archive.options_to_write())
    archive.keep()
    assert archive.exists()
    # Java refuses an archive that it cannot use.
    run(f"-Xshare:on {archive.options_to_use()}")
