"""A declaration that could not work is refused when it is made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bytemeter.feeds import DEVICES, FEEDS, Dimension, Field, Text, Totals, TotalsTable, Whole
from bytemeter.windows import FIVE_MINUTES
from speed_layer.live_queries import LIVE_QUERIES

LIVE = TotalsTable("bytes", FIVE_MINUTES)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"fields": (*DEVICES.fields, Field("value", Whole()))}, r"has the fields \['value'\], which are reserved"),
        ({"fields": (*DEVICES.fields, Field("offset", Whole()))}, r"\['offset'\], which are reserved"),
        ({"fields": (*DEVICES.fields, Field("app", Text(), path=("x",)))}, "declares a field twice"),
        ({"fields": (*DEVICES.fields, Field("name", Text(), path=("app",)))}, "two fields with the same path"),
        ({"fields": (*DEVICES.fields, Field("cell", Text(), path=("app", "cell")))}, r"\['cell'\] inside other fields"),
        ({"event_id": None, "horizon_s": 60}, "has a horizon, which only feeds with an event id have"),
        ({"without_id": lambda _: None, "event_id": "app"}, "takes event ids away that are not an optional field"),
        ({"key": "imsi"}, r"uses the fields \['imsi'\]"),
        ({"event_id": "uuid"}, r"uses the fields \['uuid'\]"),
        ({"totals": Totals("app", (Dimension("a", ("app",)),), LIVE)}, "adds up app, which is not a required Whole"),
        (
            {"totals": Totals("bytes", (Dimension("a", ("timestamp",)),), LIVE)},
            "timestamp .a., which is not a Text",
        ),
        (
            {"totals": Totals("bytes", (Dimension("a", ("app",), measure="id"),), LIVE)},
            "adds up id .a., which is not a Whole or Number",
        ),
        (
            {"totals": Totals("bytes", (Dimension("a", ("app",), where=("bytes", "1")),), LIVE)},
            "chooses by bytes .a., which is no Text",
        ),
        ({"totals": Totals("bytes", (), LIVE)}, "has no dimension"),
        ({"totals": Totals("bytes", (Dimension("a", ("app",)), Dimension("a", ("id",))), LIVE)}, "or one twice"),
    ],
)
def test_a_wrong_declaration_is_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=f"feed devices .*{complaint}"):
        replace(DEVICES, **changes)


def test_a_reserved_name_in_the_json_is_picked_under_another_name() -> None:
    feed = replace(DEVICES, fields=(*DEVICES.fields, Field("amount", Whole(), path=("value",))))
    assert feed.names[-1] == "amount"


def test_each_feed_names_a_live_query() -> None:
    assert {feed.live_query for feed in FEEDS.values()} == set(LIVE_QUERIES)
