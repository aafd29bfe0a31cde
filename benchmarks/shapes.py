"""The shapes in which other programs write the JSON of a record: devices counted in each of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from benchmarks.streaming import LIVE_TOTALS, stream
from benchmarks.throughput import Job, Throughput
from benchmarks.topics import Topics
from bytemeter.feeds import DEVICES
from simulator.devices import DeviceSimulation
from simulator.texts import Ints
from simulator.traffic import Message, Traffic

# In place of the simulator's names of apps: only characters beyond ASCII are escaped.
_APPS = (
    "Wiadomości", "Zdjęcia", "Głośnik", "Książki", "Żywność", "Pogoda dziś",
    "Tłumacz", "Mój bank", "Łączność", "Siłownia", "Карты", "微信",
)  # fmt: skip
_SEPARATORS = (",", ":")
_compact = json.JSONEncoder(ensure_ascii=False, separators=_SEPARATORS).encode

COMPACT, SPACES = "compact", "spaces after separators"
# How a record is written. Compact: UTF-8 without spaces, the fields in the order of the feed's schema.
SHAPES: Mapping[str, Callable[[dict[str, Any]], str]] = {
    COMPACT: _compact,
    "Python's default escapes": json.JSONEncoder(separators=_SEPARATORS).encode,
    "alphabetical keys": json.JSONEncoder(ensure_ascii=False, separators=_SEPARATORS, sort_keys=True).encode,
    "one extra field": lambda record: _compact({**record, "network": "5G"}),
    SPACES: json.JSONEncoder(ensure_ascii=False).encode,
}


class ShapedDevices(DeviceSimulation):
    """Simulated devices, of which each valid message is written anew in a shape.

    Args:
        shape: a key of ``SHAPES``.
    """

    def __init__(self, traffic: Traffic, shape: str) -> None:
        super().__init__(traffic)
        self._apps = pa.array(_APPS)
        self._shape = shape

    def messages(self, seconds: Ints) -> list[Message]:
        """See ``Simulation``, which then makes the faults of the invalid messages."""
        write = SHAPES[self._shape]
        return [
            {"key": message["key"], "value": write(json.loads(message["value"] or b"")).encode()}
            for message in super().messages(seconds)
        ]


def measure_shapes(session: SparkSession, topics: Topics, rounds: int) -> None:
    """Count a topic of each shape but the one with spaces; print the rates, and their ratios to the compact shape."""
    counted = [shape for shape in SHAPES if shape != SPACES]
    places = {shape: topics.place(f"{re.sub('[^a-z]+', '-', shape.lower())}.") for shape in counted}
    traffic = topics.traffic(late=0.01, invalid=0.001, duplicates=0.01)
    for shape, place in places.items():
        topics.fill(place, ShapedDevices(traffic, shape), topics.records)
    throughput = Throughput(topics, rounds)
    throughput.measure(
        [Job(_job(shape), partial(stream, session, places[shape], [DEVICES]), _job(COMPACT)) for shape in counted],
        list(places.values()),
    )
    throughput.print()


def _job(shape: str) -> str:
    return f"{LIVE_TOTALS}, {shape}"
