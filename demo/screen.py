"""The demo's screen: figures as tables of a terminal."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from sqlalchemy import Row

from bytemeter.plans.events import EXCEEDED, REACHED
from bytemeter.telemetry.topics import DUPLICATE, ERROR, FAILED, LOG, RAW, UNIQUE
from demo.figures import Figures
from demo.tail import Received

_BAR = 12
_STYLES = {EXCEEDED: "red", REACHED: "yellow"}
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_FUNNEL = (RAW, UNIQUE, FAILED, DUPLICATE, LOG, ERROR)
_PANELS = (
    ("antenna_bytes_total", "bytes per antenna, 24 h"),
    ("app_bytes_total", "bytes per app, 24 h"),
    ("email_bytes_total", "bytes per user, 24 h"),
)


def readable(value: float | None) -> str:
    """Bytes in the largest unit (powers of 1000) that leaves a whole number in front."""
    if value is None:
        return "-"
    unit = 0
    while abs(value) >= 1000 and unit < len(_UNITS) - 1:  # noqa: PLR2004
        value /= 1000
        unit += 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def panels(figures: Figures, received: Sequence[Received], rate: float) -> list[RenderableType]:
    """All figures as panels; one of which nothing is known yet is left out.

    Args:
        received: the latest threshold events on Kafka, the latest first.
        rate: records counted a second.
    """
    tops = [(rows, title) for type_, title in _PANELS if (rows := [r for r in figures.top_by_type if r.type == type_])]
    hours = [_hours(figures.live_against_batch)] if figures.live_against_batch else []
    breaches = [_breaches(figures.quota_breaches)] if figures.quota_breaches else []
    side_by_side = [[_top(*top) for top in tops], [*hours, *breaches]]
    return [
        _account([row for row in figures.account if row.received], rate),
        *_funnel(figures.telemetry_funnel),
        *(Columns(row, padding=(0, 1)) for row in side_by_side if row),
        *([_events(received, figures.plan_thresholds)] if received or figures.plan_thresholds else []),
    ]


def _account(rows: Sequence[Row[Any]], rate: float) -> RenderableType:
    figures = ("received", "counted", "duplicate", "invalid", "unmatched")
    name = max((len(row.feed) for row in rows), default=0)
    wide = {figure: max((len(f"{getattr(row, figure):,}") for row in rows), default=0) for figure in figures}

    def of(row: Row[Any], figure: str) -> str:
        return f"{figure} {getattr(row, figure):>{wide[figure]},}"

    lines = [
        f"[bold]{row.feed:<{name}}[/]  {of(row, 'received')} = {of(row, 'counted')} + {of(row, 'duplicate')}"
        f" + {of(row, 'invalid')}" + (f" + {of(row, 'unmatched')}" if row.unmatched else "")
        for row in rows
    ]
    lines += [f"[green]{rate:,.0f} records/s[/]"] if lines else []
    return Panel(
        Text.from_markup("\n".join(lines) or "waiting for the first records"),
        title="account",
        border_style="blue",
    )


def _funnel(rows: Sequence[Row[Any]]) -> Iterator[RenderableType]:
    """Telemetry from raw to unique, and what is left out on the way; nothing where there is none."""
    messages = {row.topic: row.messages for row in rows}
    if RAW not in messages:
        return
    stages = [f"{topic.removeprefix('telemetry.')} {messages.get(topic, 0):,}" for topic in _FUNNEL]
    yield Panel(Text("  ▸  ".join(stages[:2]) + "   " + "   ".join(stages[2:])), title="telemetry", border_style="blue")


def _top(rows: Sequence[Row[Any]], title: str) -> RenderableType:
    most = max(row.value for row in rows)
    table = Table(title=title, box=None, show_header=False, title_justify="left", title_style="bold")
    for row in rows:
        bar = "█" * max(1, round(_BAR * row.value / most)) if row.value else ""
        table.add_row(_short(row.id), Text(bar, style="cyan"), readable(row.value))
    return Panel(table)


def _hours(rows: Iterable[Row[Any]]) -> RenderableType:
    table = _titled("live against batch", "hour (UTC)", "live", "batch", "served from")
    for row in rows:
        same = row.batch == row.live
        batch = Text(readable(row.batch), style="green" if same else "yellow")
        table.add_row(_hour(row.timestamp), readable(row.live), batch, row.served_from)
    return Panel(table)


def _breaches(rows: Iterable[Row[Any]]) -> RenderableType:
    table = _titled("over the hourly quota", "user", "hour (UTC)", "used", "quota", "from")
    for row in rows:
        used = Text(readable(row.usage), style="red")
        table.add_row(row.email, _hour(row.timestamp), used, readable(row.quota), row.source)
    return Panel(table)


def _events(received: Sequence[Received], reached: Sequence[Row[Any]]) -> RenderableType:
    reached_texts = ", ".join(
        f"{row.events:,} at {row.threshold_percent} %" for row in reached if row.threshold_percent
    )
    title = f"data plans: thresholds as they are crossed (this period: {reached_texts or 'none yet'})"
    table = _titled(title, "on Kafka", "agreement", "event", "used", "of", "crossed by the record of")
    for message in received:
        event = message.event
        percent = event["thresholdPercent"]
        table.add_row(
            f"{message.partition}:{message.offset}",
            f"…{event['agreementId'][-6:]}",
            Text(event["type"] + (f" {percent} %" if percent else ""), style=_STYLES.get(event["type"], "")),
            readable(event["totalRecordedBytes"]),
            readable(event["maxBytesInBillingPeriod"]),
            event["latestRecordedAt"] or "-",
        )
    message_text = Text(json.dumps(received[0].event), style="dim", no_wrap=False) if received else Text("waiting")
    return Panel(Group(table, message_text))


def _titled(title: str, *headers: str) -> Table:
    return Table(*headers, title=title, title_justify="left", title_style="bold", box=None)


def _hour(at: dt.datetime) -> str:
    return f"{at:%m-%d %H:00}"


def _short(id_: str) -> str:
    """A short form of an id: ids of antennas and users begin with many zeros."""
    return id_.split("@", maxsplit=1)[0] if "@" in id_ else f"…{id_[-4:]}" if id_.startswith("00000000-") else id_
