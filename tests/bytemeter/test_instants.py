"""Many distinct instants are read at once as each of them alone."""

from __future__ import annotations

import datetime as dt
import random

import pyarrow as pa
import pytest

from bytemeter import instants

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def texts(chance: random.Random, count: int) -> list[str]:
    """Distinct instants, and texts that are nearly instants."""
    found: set[str] = set()
    while len(found) < count:
        year = chance.choice([1, 1890, 1899, 1969, 2020, 2023, 2199, 2299]) + chance.randrange(3)
        text = f"{year:04d}-{chance.randrange(14):02d}-{chance.randrange(33):02d}T{chance.randrange(26):02d}:"
        text += f"{chance.randrange(62):02d}" + chance.choice(["", *9 * [f":{chance.randrange(62):02d}"]])
        text += chance.choice(["", f".{chance.randrange(10**9)}", f".{chance.randrange(10**6):06d}"])
        text += chance.choice(["Z", "", "+01:00", "-17:59", "+18:00", "+18:01", "+01:00:30", "-00:30"])
        text += chance.choice(["", "[Europe/Warsaw]", "[Nowhere]", "[a", "\n"])
        if chance.random() < 0.1:
            place = chance.randrange(len(text))
            text = text[:place] + chance.choice("09TZ+-:.[]é") + text[place + 1 :]
        found.add(text)
    return sorted(found)


@pytest.mark.parametrize("zone", ["", "[Europe/Warsaw]"])
def test_many_instants_are_read_as_the_standard_library_does(zone: str) -> None:
    wanted = [_EPOCH + dt.timedelta(hours=n * 37, microseconds=n) for n in range(-5_000, 20_000)]
    east = dt.timezone(dt.timedelta(hours=5, minutes=30))
    written = [at.astimezone(east).isoformat() + zone for at in wanted]
    read = instants.read(pa.chunked_array([written])).to_pylist()
    assert read == [(at - _EPOCH) // dt.timedelta(microseconds=1) for at in wanted]


def test_many_texts_are_read_as_each_of_them_alone(seed: int) -> None:
    many = [*texts(random.Random(seed), 5_000), None]
    alone = [instants.read(pa.chunked_array([pa.array([text], pa.string())]))[0].as_py() for text in many]
    assert sum(at is not None for at in alone) > 100
    assert instants.read(pa.chunked_array([many])).to_pylist() == alone
    zones = [instants.with_unknown_zone(pa.chunked_array([pa.array([text], pa.string())]))[0].as_py() for text in many]
    assert instants.with_unknown_zone(pa.chunked_array([many])).to_pylist() == zones
