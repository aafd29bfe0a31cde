"""Bodies of requests: inflated within their limit, and refused where they are no gzip."""

from __future__ import annotations

import gzip

import pytest

from bytemeter.web.bodies import inflated
from bytemeter.web.problems import Problem


def test_gzip_of_several_members_is_inflated() -> None:
    assert inflated(gzip.compress(b"one ") + gzip.compress(b"two"), 7) == b"one two"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (gzip.compress(bytes(10**8)), 413),
        (gzip.compress(bytes(600)) * 2, 413),
        (gzip.compress(b"content")[:-1], 400),
        (gzip.compress(b"content") + b"more", 400),
        (b"", 400),
        (b"{}", 400),
    ],
    ids=["a bomb", "together too large", "cut short", "with a tail", "empty", "none"],
)
def test_gzip_that_is_none_or_grows_too_large_is_refused(body: bytes, status: int) -> None:
    with pytest.raises(Problem) as caught:
        inflated(body, 1_000)
    assert caught.value.status == status
