"""Texts that are shown hold no password."""

from __future__ import annotations

import pytest

from bytemeter.errors import without_passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no feed 'postgresql://ann:s3cr/e:t@db/usage'", "no feed 'postgresql://ann:***@db/usage'"),
        (
            "(jdbc:postgresql://db/usage?user=ann&password=s3cret&ssl=true)",
            "(jdbc:postgresql://db/usage?user=ann&password=***&ssl=true)",
        ),
        ('Login required username="ann" password="s3\\"cr;et";', 'Login required username="ann" password=***;'),
        ("password authentication failed for user ann", "password authentication failed for user ann"),
        ("http://127.0.0.1:8088/ and user@example.com", "http://127.0.0.1:8088/ and user@example.com"),
    ],
)
def test_passwords_are_left_out(text: str, shown: str) -> None:
    assert without_passwords(text) == shown
