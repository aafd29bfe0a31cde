"""A data plan in the words of TM Forum TMF677 v5, whose numbers are floating point: beside them are exact texts."""

from __future__ import annotations

import datetime as dt
from typing import Any

from serving.api.plans import DataPlan


def report(plan: DataPlan, base: str) -> dict[str, Any]:
    """A ``UsageConsumptionReport`` of TMF677 with one bucket; its id is the MSISDN.

    Args:
        base: where reports are, without the id.
    """
    period = {"startDateTime": _local(plan, plan.period.start), "endDateTime": _local(plan, plan.period.end)}
    counters = (("used", plan.used), ("remaining", plan.left))
    running = plan.period.start <= plan.at < plan.period.end and not plan.closed
    return {
        "@type": "UsageConsumptionReport",
        "id": plan.msisdn,
        "href": f"{base}/{plan.msisdn}",
        "name": f"Data of {plan.msisdn}",
        "creationDate": _local(plan, plan.at),
        **({"lastUpdate": plan.as_of.isoformat()} if plan.as_of else {}),
        "validPeriod": period,
        "product": [{"@type": "UsageConsumptionProductRef", "id": plan.agreement_id}],
        "logicalResource": [{"@type": "LogicalResourceRef", "id": plan.msisdn, "value": plan.msisdn}],
        "bucket": [
            {
                # Without an id: with one it would be a BucketRef to the standard's schema, too.
                "@type": "Bucket",
                "usageType": "data",
                "isShared": False,
                "status": "active" if running else "expired",
                "validFor": period,
                "remainingValue": _quantity(plan.left),
                "bucketCounter": [_counter(kind, size, period) for kind, size in counters],
            }
        ],
    }


def _counter(kind: str, size: int, period: dict[str, str]) -> dict[str, Any]:
    return {
        "@type": "BucketCounter",
        "counterType": kind,
        "level": "global",
        "value": _quantity(size),
        "valueName": f"{size} bytes",
        "consumptionPeriod": period,
    }


def _quantity(size: int) -> dict[str, Any]:
    return {"amount": float(size), "units": "byte", "exactAmount": str(size)}


def _local(plan: DataPlan, at: dt.datetime) -> str:
    return at.astimezone(plan.zone).isoformat()
