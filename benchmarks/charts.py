"""How long PostgreSQL takes for the query of each chart, with a month of windows loaded.

Loaded are 30 days of windows of five minutes, of 500 antennas, 50 apps and 10,000,000 rows of users, their hours (all
but the last two recomputed), and 100,000 agreements with 300,000 events. The queries are those that Superset makes of
the assets with the dashboards' own filters: the last day.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import yaml
from sqlalchemy import Connection, Engine, create_engine, text

from serving.dashboards import ASSETS
from serving.reader import reader_login

_ROUNDS = 5
_DAYS, _ANTENNAS, _APPS, _USERS = 30, 500, 50, 1_158
_AGREEMENTS = 100_000
_GRAINS = {"PT5M": "date_bin('5 minutes', {0}, timestamptz 'epoch')", "PT1H": "date_trunc('hour', {0}, 'UTC')"}


def measure_charts(engine: Engine) -> None:
    """Load, then print the median time of each chart's query, asked with the login of the dashboards."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        began = time.perf_counter()
        for statement in _LOAD:
            connection.execute(text(statement), _SIZES)
        rows = connection.scalar(text("select count(*) from bytes"))
        print(f"\ncharts: {rows:,} windows loaded in {time.perf_counter() - began:.0f} s; medians of {_ROUNDS}")
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


_SIZES = {"days": _DAYS, "antennas": _ANTENNAS, "apps": _APPS, "users": _USERS, "agreements": _AGREEMENTS}
_SINCE = "date_trunc('hour', now()) - :days * interval '1 day'"
_LOAD = (
    "truncate bytes, bytes_hourly, hours, agreements, billing_periods, data_plan_usage, threshold_events",
    f"""
    insert into bytes (type, id, timestamp, value)
    select k.type, k.id, w.window_at, (1e6 * random())::bigint
    from generate_series({_SINCE}, now(), interval '5 minutes') as w (window_at)
    cross join (
        select 'antenna_bytes_total' as type, 'antenna ' || n as id from generate_series(1, :antennas) as n
        union all
        select 'app_bytes_total', 'app ' || n from generate_series(1, :apps) as n
        union all
        select 'user_bytes_total', 'user ' || n from generate_series(1, :users) as n
    ) as k
    """,
    """
    insert into bytes_hourly (type, id, timestamp, value)
    select type, id, date_trunc('hour', timestamp, 'UTC'), sum(value)::bigint
    from bytes
    where timestamp < date_trunc('hour', now()) - interval '1 hour'
    group by 1, 2, 3
    """,
    """
    insert into hours (feed, hour, recomputed_version, recomputed_at)
    select
        'devices', at, case when at < date_trunc('hour', now()) - interval '1 hour' then 1 end, now()
    from generate_series(date_trunc('hour', now()) - :days * interval '1 day', now(), interval '1 hour') as h (at)
    """,
    """
    insert into agreements (
        id, msisdn, signed_at, service_start_at, billing_period_time_zone, max_bytes_in_billing_period, thresholds,
        anchor_day
    )
    select 'agreement ' || n, (48500000000 + n)::text, now(), now() - interval '1 year', 'Europe/Warsaw', 5368709120,
        '{50,80,100}', 1
    from generate_series(1, :agreements) as n
    """,
    """
    insert into data_plan_usage (
        agreement_id, period_start, period_end, year, month, total_recorded_bytes, latest_recorded_at, status
    )
    select
        a.id, p.period_start, p.period_start + interval '1 month', extract(year from p.period_start),
        extract(month from p.period_start), (6e9 * random() ^ 2)::bigint, p.period_start,
        case when p.period_start + interval '1 month' < now() then 'closed' else 'open' end
    from agreements as a
    cross join generate_series(
        date_trunc('month', now()) - interval '2 months', now(), interval '1 month'
    ) as p (period_start)
    """,
    """
    insert into threshold_events (
        event_id, agreement_id, period_start, type, threshold_percent, total_recorded_bytes, payload, source, emitted_at
    )
    select
        gen_random_uuid(), agreement_id, period_start, 'DATA_PLAN_THRESHOLD_REACHED', 50, 0, '', 'live',
        now() - 30 * random() * interval '1 day'
    from data_plan_usage
    """,
    "vacuum analyze",
)
