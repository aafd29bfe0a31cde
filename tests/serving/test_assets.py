"""The files of the dashboards are consistent: each reference has its target, each column exists, no uuid occurs twice."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import yaml
from sqlalchemy import make_url

from serving.dashboards import ASSETS, SLUGS, bundle

Rows = Callable[..., list[tuple[Any, ...]]]


def assets(kind: str) -> dict[str, dict[str, Any]]:
    """The assets of a kind by their uuid."""
    loaded = [yaml.safe_load(path.read_text()) for path in sorted((ASSETS / kind).rglob("*.yaml"))]
    by_uuid = {asset["uuid"]: asset for asset in loaded}
    assert len(by_uuid) == len(loaded), f"two {kind} have the same uuid"
    return by_uuid


def charts_of(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        node["meta"] for node in dashboard["position"].values() if isinstance(node, dict) and node["type"] == "CHART"
    ]


def test_each_chart_has_a_dataset_and_is_on_one_dashboard() -> None:
    charts, datasets, dashboards = assets("charts"), assets("datasets"), assets("dashboards")
    shown = [meta["uuid"] for dashboard in dashboards.values() for meta in charts_of(dashboard)]
    assert sorted(shown) == sorted(charts)
    assert {chart["dataset_uuid"] for chart in charts.values()} == set(datasets)
    assert {dataset["database_uuid"] for dataset in datasets.values()} == set(assets("databases"))
    assert sorted(dashboard["slug"] for dashboard in dashboards.values()) == sorted(SLUGS)
    for dashboard in dashboards.values():
        names = {charts[meta["uuid"]]["slice_name"] == meta["sliceName"] for meta in charts_of(dashboard)}
        assert names == {True}, dashboard["slug"]


def test_each_dashboard_refreshes_itself_shows_the_time_of_its_figures_and_filters_existing_columns() -> None:
    datasets = assets("datasets")
    for dashboard in assets("dashboards").values():
        metadata = dashboard["metadata"]
        assert metadata["refresh_frequency"] > 0
        assert metadata["show_chart_timestamps"]
        filters = metadata["native_filter_configuration"]
        assert any(filter_["filterType"] == "filter_time" for filter_ in filters)
        for target in (target for filter_ in filters for target in filter_["targets"] if target):
            columns = [column["column_name"] for column in datasets[target["datasetUuid"]]["columns"]]
            assert target["column"]["name"] in columns


def test_charts_show_metrics_and_columns_of_their_dataset() -> None:
    datasets = assets("datasets")
    for chart in assets("charts").values():
        params, dataset = chart["params"], datasets[chart["dataset_uuid"]]
        columns = {column["column_name"] for column in dataset["columns"]}
        metrics = {metric["metric_name"] for metric in dataset["metrics"]}
        asked = [*params.get("metrics", []), *([params["metric"]] if "metric" in params else [])]
        assert set(asked) <= metrics, chart["slice_name"]
        shown = [
            *params.get("groupby", []),
            *params.get("all_columns", []),
            *([params["x_axis"]] if "x_axis" in params else []),
        ]
        assert set(shown) <= columns, chart["slice_name"]


def test_datasets_have_the_columns_of_their_tables(rows: Rows) -> None:
    for dataset in assets("datasets").values():
        columns = rows(
            "select column_name from information_schema.columns where table_schema = :schema and table_name = :table",
            schema=dataset["schema"],
            table=dataset["table_name"],
        )
        missing = {column["column_name"] for column in dataset["columns"]} - {name for (name,) in columns}
        assert not missing, dataset["table_name"]


def test_the_bundle_names_the_database_without_its_password() -> None:
    with zipfile.ZipFile(io.BytesIO(bundle(make_url("postgresql://reader:secret@host:1/db")))) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    database = yaml.safe_load(files["bytemeter/databases/Bytemeter.yaml"])
    assert database["sqlalchemy_uri"] == "postgresql+psycopg2://reader:XXXXXXXXXX@host:1/db"
    assert not any("secret" in text or "{SQLALCHEMY_URI}" in text for text in files.values())
    assert len(files) == sum(1 for _ in ASSETS.rglob("*.yaml"))
