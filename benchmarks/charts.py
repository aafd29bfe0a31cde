"""How long PostgreSQL takes for the query of each chart, with a month of totals.

The database holds 30 days of totals by five minutes, of 500 antennas, 50 apps and 1,158 users; totals by hour, of which
the last two hours are not recomputed; and 100,000 agreements with 300,000 events. The queries are those that Superset
makes of the assets with the dashboards' own filter: the last day.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import yaml
from sqlalchemy import Connection, Engine, create_engine, text

from bytemeter.sql import Statements
from serving.dashboards import ASSETS
from serving.reader import reader_login

SQL = Statements(__package__, "charts.sql")
_ROUNDS = 5
_DAYS, _ANTENNAS, _APPS, _USERS = 30, 500, 50, 1_158
_AGREEMENTS = 100_000
_SIZES = {"days": _DAYS, "antennas": _ANTENNAS, "apps": _APPS, "users": _USERS, "agreements": _AGREEMENTS}
# In the order in which they are run.
_LOAD = (
    "remove_all", "load_totals", "load_hourly_totals", "load_hours", "load_agreements", "load_periods", "load_events",
)  # fmt: skip
_GRAINS = {"PT5M": "date_bin('5 minutes', {0}, timestamptz 'epoch')", "PT1H": "date_trunc('hour', {0}, 'UTC')"}


def measure_charts(engine: Engine) -> None:
    """Load the tables, then print the median time of each chart's query, run with the login of the dashboards."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        began = time.perf_counter()
        for name in _LOAD:
            connection.execute(SQL[name], _SIZES)
        connection.execute(text("vacuum analyze"))
        rows = connection.scalar(text("select count(*) from bytes"))
        print(f"\ncharts: {rows:,} totals written in {time.perf_counter() - began:.0f} s; "
              f"medians of {_ROUNDS} rounds")  # fmt: skip
    reader = create_engine(reader_login(engine), isolation_level="AUTOCOMMIT")
    with reader.connect() as connection:
        for seconds, title in sorted(((_median(connection, sql), title) for title, sql in queries()), reverse=True):
            print(f"  {1_000 * seconds:>6.0f} ms  {title}", flush=True)


def queries() -> list[tuple[str, str]]:
    """The title of each chart, and its query."""
    datasets = {}
    for path in sorted((ASSETS / "datasets").rglob("*.yaml")):
        dataset = yaml.safe_load(path.read_text())
        datasets[dataset["uuid"]] = dataset
    charts = [yaml.safe_load(path.read_text()) for path in sorted((ASSETS / "charts").rglob("*.yaml"))]
    return [(chart["slice_name"], _query(chart["params"], datasets[chart["dataset_uuid"]])) for chart in charts]


def _query(params: dict[str, Any], dataset: dict[str, Any]) -> str:
    expressions = {metric["metric_name"]: metric["expression"] for metric in dataset["metrics"]}
    metrics = [expressions[name] for name in params.get("metrics", [params.get("metric")]) if name]
    groups = list(params.get("groupby", []))
    x_axis = params.get("x_axis")
    if x_axis:
        grain = _GRAINS.get(params.get("time_grain_sqla", ""), "{0}")
        groups.insert(0, grain.format(x_axis))
    filters = [_condition(filter_) for filter_ in params["adhoc_filters"]]
    source = f"from {dataset['table_name']} where {' and '.join(filters) or 'true'}"
    if params.get("query_mode") == "raw":
        order = [f"{column.split(chr(34))[1]} desc" for column in params["order_by_cols"]]
        shown = f"select {', '.join(params['all_columns'])} {source}"
        return f"{shown} order by {', '.join(order)} limit {params['row_limit']}"
    if params.get("limit"):
        (series,) = params["groupby"]
        most = f"select {series} {source} group by {series} order by {metrics[0]} desc limit {params['limit']}"
        source += f" and {series} in ({most})"
    grouped = f" group by {', '.join(groups)}" if groups else ""
    most_rows = params.get("row_limit", 10_000)
    return f"select {', '.join(groups + metrics)} {source}{grouped} order by {metrics[0]} desc limit {most_rows}"


def _condition(filter_: dict[str, Any]) -> str:
    if filter_["expressionType"] == "SQL":
        return f"({filter_['sqlExpression']})"
    return f"{filter_['subject']} >= now() - interval '1 day'"


def _median(connection: Connection, sql: str) -> float:
    times = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        connection.execute(text(sql)).all()
        times.append(time.perf_counter() - began)
    return statistics.median(times)
