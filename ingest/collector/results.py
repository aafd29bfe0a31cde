"""What became of each event of a request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
from starlette.responses import Response

from bytemeter.web.problems import try_later

ACCEPTED, DUPLICATE, INVALID, RETRY = "accepted", "duplicate", "invalid", "retry"
RETRY_AFTER_S = 5


class Result(msgspec.Struct, omit_defaults=True, rename="camel"):
    """What became of one event.

    Attributes:
        status: ``accepted``: Kafka or the journal has it; ``duplicate``: the request has it twice; ``invalid``: it was
            refused for the ``reason``; ``retry``: it may or may not have arrived, send it again with its event id.
        event_id: of an event that is not invalid, if its feed has event ids.
        reason, field, value: what is wrong with an invalid event; the field that is to blame, if it is one; and the
            beginning of what the event has there, as JSON.
    """

    status: str
    event_id: str | None = None
    reason: str | None = None
    field: str | None = None
    value: str | None = None


def answer(results: Sequence[Result]) -> Response:
    """200 if all were accepted or are duplicates, 503 if none was and all may be repeated, else 207.

    Raises:
        Problem: the 503, with the results as a member.
    """
    counts = Counter(result.status for result in results)
    accepted = counts[ACCEPTED]
    if counts[RETRY] and not accepted:
        raise try_later(
            503, "Kafka did not acknowledge the events; repeat those to `retry`", RETRY_AFTER_S, accepted=0,
            results=[msgspec.to_builtins(result) for result in results],
        )  # fmt: skip
    fine = accepted + counts[DUPLICATE] == len(results)
    body = msgspec.json.encode({"accepted": accepted, "results": results})
    headers = {"Retry-After": str(RETRY_AFTER_S)} if counts[RETRY] else None
    return Response(body, 200 if fine else 207, headers, media_type="application/json")
