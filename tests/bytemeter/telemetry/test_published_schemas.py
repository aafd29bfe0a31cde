"""Our schemas agree with the published schemas of telemetry v3, which lie beside the repository.

Where we mean to differ:

- ``mid``, ``actor.id``, ``actor.type``, ``context.channel``, ``context.did`` and ``object.id`` have at most 512
  characters and no NUL: they are columns and keys of tables, and PostgreSQL's texts hold no NUL.
- A number is one that a double can hold: readers make an infinity of others, or refuse the whole event.
- A SHARE makes at most 1,000 SHARE_ITEMs, of 8 MiB together (``bytemeter.telemetry.sharing``); no schema can say that.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import jsonschema_rs
import pytest

from bytemeter.feeds.telemetry import EIDS
from bytemeter.telemetry.schema_files import ours
from bytemeter.telemetry.validating import Violation, compiled
from tests.telemetry_events import document, encoded, generated, mutated

PUBLISHED = Path(__file__).parents[4] / "shared" / "telemetry" / "schemas"
MEANT = {
    (place, keyword)
    for place in ("/mid", "/actor/id", "/actor/type", "/context/channel", "/context/did", "/object/id")
    for keyword in ("maxLength", "pattern")
}
EVENTS = 300

pytestmark = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason=f"the published schemas of telemetry v3 are not in {PUBLISHED}"
)


@pytest.fixture(scope="module")
def published() -> Callable[[str], Any]:
    """The published validator of a kind of events."""
    documents = {file.stem: json.loads(file.read_text()) for file in PUBLISHED.glob("*.json")}
    registry = jsonschema_rs.Registry(
        [(f"resource:/schemas/telemetry/3.0/{name}.json", document) for name, document in documents.items()],
        draft=jsonschema_rs.Draft4,
    )
    return lambda eid: jsonschema_rs.Draft4Validator(documents[eid.lower()], registry=registry)


def is_meant(violation: Violation, spoiled: Any) -> bool:
    if (violation["pointer"], violation["violates"]) in MEANT:
        return True
    value = spoiled
    for name in violation["pointer"].split("/")[1:]:
        key = name.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value.get(key)
    return violation.get("expected") == "number" and type(value) is int and abs(value) > sys.float_info.max


@pytest.mark.parametrize("eid", EIDS)
def test_the_published_schema_and_ours_agree(eid: str, published: Callable[[str], Any], seed: int) -> None:
    random, theirs, judge = Random(f"{seed} {eid}"), published(eid), compiled(ours(eid))
    found: Counter[str] = Counter()
    for number in range(EVENTS):
        good = document(eid) if number == 0 else generated(random, eid)
        assert theirs.is_valid(good), good
        assert judge.reason(encoded(good)) is None, good
        spoiled = mutated(random, good)
        accepted, violations = theirs.is_valid(spoiled), judge.violations(encoded(spoiled))
        meant = bool(violations) and all(is_meant(violation, spoiled) for violation in violations)
        assert accepted == (not violations or meant), (spoiled, violations)
        found["meant" if meant else "accepted" if accepted else "refused"] += 1
    assert min(found["accepted"], found["refused"]) > EVENTS // 10, found


def test_we_differ_where_we_mean_to(published: Callable[[str], Any]) -> None:
    for text in ("x" * 513, "a\0"):
        for members in (
            {"mid": text},
            {"actor": {"id": text, "type": text}},
            {"context": {"channel": text, "did": text, "env": "e", "pdata": {"id": text}}},
            {"object": {"id": text, "type": text}},
        ):
            spoiled = document("START", **members)
            assert published("START").is_valid(spoiled)
            violations = compiled(ours("START")).violations(encoded(spoiled))
            assert violations
            assert all(is_meant(violation, spoiled) for violation in violations)
    huge = document("END", edata={"type": "app", "duration": 10**400})
    assert published("END").is_valid(huge)
    (violation,) = compiled(ours("END")).violations(encoded(huge))
    assert (violation["pointer"], is_meant(violation, huge)) == ("/edata/duration", True)
