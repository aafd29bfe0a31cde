"""The faults that real senders have: each breaks a good message in one way."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from simulator.traffic import Message

_TEN_DAYS_S = 10 * 86_400
_Edit = Callable[[dict[str, Any]], None]


def _edit(change: _Edit) -> Callable[[bytes], bytes | None]:
    def broken_value(value: bytes) -> bytes:
        fields = json.loads(value)
        change(fields)
        return json.dumps(fields).encode()

    return broken_value


FAULTS: dict[str, Callable[[bytes], bytes | None]] = {
    "tombstone": lambda _: None,
    "cut short": lambda value: value[: len(value) // 2],
    "two records in one": lambda value: value + value,
    "not UTF-8": lambda value: value.replace(b'"app":"', b'"app":"\xff\xfe'),
    "missing field": _edit(lambda fields: fields.pop("app")),
    "number as text": _edit(lambda fields: fields.update(bytes=str(fields["bytes"]))),
    "text as number": _edit(lambda fields: fields.update(app=17)),
    "fractional bytes": _edit(lambda fields: fields.update(bytes=fields["bytes"] + 0.5)),
    "negative bytes": _edit(lambda fields: fields.update(bytes=-fields["bytes"])),
    "long ago": _edit(lambda fields: fields.update(timestamp=123_456_789)),
    "in the future": _edit(lambda fields: fields.update(timestamp=fields["timestamp"] + 40 * _TEN_DAYS_S)),
    "over-long text": _edit(lambda fields: fields.update(app="A" * 5_000)),
    "NUL in text": _edit(lambda fields: fields.update(app="A\u0000B")),
}


def broken(rng: random.Random, message: Message) -> Message:
    """The message with one of the faults."""
    fault = FAULTS[rng.choice(sorted(FAULTS))]
    return Message(message.key, fault(message.value or b""))
