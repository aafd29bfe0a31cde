"""Others read the history in a bucket as docs/data.md says."""

from __future__ import annotations

import duckdb
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from bytemeter.feeds import DEVICES
from bytemeter.history.table import History
from tests.buckets import BUCKET, Buckets
from tests.histories import delta_table, written
from tests.messages import device


@BUCKET
def test_duckdb_and_gcsfs_read_what_was_committed(
    spark: SparkSession, history_root: str, object_storage: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = History(spark, history_root, DEVICES)
    table.create()
    written(table, device(bytes=1_000))
    table.append(written(table, device(bytes=1), device(bytes=2, app="MAPS")), {0: 2}, after={})

    history = delta_table(table.path).to_pyarrow_dataset()  # noqa: F841 - DuckDB reads it by name
    found = duckdb.sql("select app, sum(bytes)::bigint from history group by app order by app").fetchall()
    assert found == [("MAPS", 2), ("SKYPE", 1)]

    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    import gcsfs

    files = [uri.removeprefix("gs://") for uri in delta_table(table.path).file_uris()]
    filesystem = gcsfs.GCSFileSystem(token="anon", endpoint_url=f"http://{object_storage.host}")
    records = pq.read_table(files, filesystem=filesystem, columns=["app", "bytes"]).to_pylist()
    assert sorted((row["app"], row["bytes"]) for row in records) == found
