"""The mains on YARN."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bytemeter.dist import build
from bytemeter.settings import Settings
from simulator.traffic import Sent
from tests.integration.cluster import secret_file
from tests.integration.yarn import yarn

Rows = Callable[..., list[tuple[Any, ...]]]


def test_stream_and_hourly_run_on_yarn(
    place: Settings,
    simulate: Callable[..., Sent],
    rows: Rows,
    full: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not full:
        pytest.skip("runs with --full, as make faults does: Hadoop's jars are 100 MB")
    sent = simulate(300)
    build(tmp_path / "dist")
    monkeypatch.setenv("BYTEMETER_TOPIC_PREFIX", place.topic_prefix)
    monkeypatch.setenv("BYTEMETER_DATABASE_URL_FILE", secret_file(tmp_path / "url", place.require_database_url()))
    where = ["--history", place.require_history()]
    with yarn(tmp_path, tmp_path / "dist") as cluster:
        for main, *arguments in (
            ("stream_usage.py", "devices", "--kafka", str(place.kafka), "--once"),
            ("hourly_usage.py", "--dirty"),
        ):
            done = cluster.submit(main, [*arguments, *where])
            assert done.returncode == 0, done.stderr[-5_000:]
    for table in ("bytes", "bytes_hourly"):
        assert rows(f"select sum(value) from {table} where type like 'app%'") == [(sent.valid_bytes,)]
    shown = "\n".join(cluster.arguments)
    assert "YarnCoarseGrainedExecutorBackend" in shown
    assert f"{cluster.python} -m pyspark.daemon" in shown
