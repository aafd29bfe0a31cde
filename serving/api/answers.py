"""Answers in JSON and CSV."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any

import msgspec
from starlette.responses import Response

from serving.api.events import EventPage
from serving.api.money import Bill
from serving.api.parameters import cursor
from serving.api.plans import DataPlan
from serving.api.projection import CONFIDENCE, Projection
from serving.api.usage import Page, Row

_CONFIDENCE = CONFIDENCE
# What a spreadsheet would take for a formula.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def answered(document: Any, status: int = 200) -> Response:
    """A document as JSON. What is counted changes: nothing on the way may keep it."""
    return Response(msgspec.json.encode(document), status, {"Cache-Control": "no-store"}, media_type="application/json")


def usage_json(page: Page) -> Response:
    """Totals as JSON."""
    return answered({"as_of": page.as_of, "rows": page.rows, "next": cursor(page.next) if page.next else None})


def usage_csv(page: Page) -> Response:
    """Totals as CSV (RFC 4180); ``as_of`` and ``next`` are headers."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(Row.__struct_fields__)
    for row in page.rows:
        final = "true" if row.final else "false"
        writer.writerow([row.type, _plain_text(row.id), row.timestamp, row.value, row.source, final])
    headers = {"Cache-Control": "no-store", "Bytemeter-As-Of": page.as_of.isoformat() if page.as_of else ""}
    if page.next:
        headers["Bytemeter-Next"] = cursor(page.next)
    return Response(text.getvalue(), headers=headers, media_type="text/csv; charset=utf-8; header=present")


def plan_json(plan: DataPlan) -> Response:
    """A data plan; its instants are those of the agreement's clock."""

    def local(at: dt.datetime | None) -> str | None:
        return at.astimezone(plan.zone).isoformat() if at else None

    return answered(
        {
            "as_of": plan.as_of,
            "msisdn": plan.msisdn,
            "agreement_id": plan.agreement_id,
            "zone": plan.zone.key,
            "period": {
                "start": local(plan.period.start),
                "end": local(plan.period.end),
                "year": plan.period.year,
                "month": plan.period.month,
                "status": "closed" if plan.closed else "open",
            },
            "used": plan.used,
            "limit": plan.limit,
            "left": plan.left,
            "latest_recorded_at": local(plan.latest_recorded_at),
            "thresholds": [
                {"percent": t.percent, "bytes": t.bytes, "reached": t.reached, "crossed_at": local(t.crossed_at)}
                for t in plan.thresholds
            ],
            "final": plan.closed,
            "projection": _projection(plan, plan.projection) if plan.projection else None,
        }
    )


def _projection(plan: DataPlan, projected: Projection) -> dict[str, Any]:
    def after(seconds: float | None) -> str | None:
        if seconds is None:
            return None
        return (plan.at + dt.timedelta(seconds=round(seconds))).astimezone(plan.zone).isoformat(timespec="seconds")

    return {
        "runs_out_at": after(projected.runs_out_s),
        "earliest": after(projected.earliest_s),
        "latest": after(projected.latest_s),
        "used_at_end": projected.total,
        "used_at_end_least": projected.least,
        "used_at_end_most": projected.most,
        "confidence": _CONFIDENCE,
    }


def bill_json(dimension: str, id_: str, found: Bill) -> Response:
    """Money of a month as texts: rounded, exact, and what the rounding has added."""
    return answered(
        {
            dimension: id_,
            "month": found.month,
            "totalEur": str(found.shown),
            "exactEur": str(found.exact),
            "rounding": str(found.rounding),
            "as_of": found.as_of,
        }
    )


def events_json(page: EventPage) -> Response:
    """Threshold events as JSON."""
    rows = [msgspec.Raw(event.json) for event in page.events]
    next_ = None if page.next is None else str(page.next)
    return answered({"as_of": page.as_of, "rows": rows, "next": next_})


def _plain_text(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULAS) else text
