"""Ids of records are name-based UUIDs of content and line."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from ingest.importer.ids import NAMESPACE, internal_ids


@given(st.text("0123456789abcdef", min_size=64, max_size=64), st.integers(1, 10**12))
def test_the_id_of_a_line_is_the_uuid5_of_content_and_line(content_hash: str, line: int) -> None:
    assert internal_ids(content_hash)(line) == str(uuid.uuid5(NAMESPACE, f"{content_hash}/{line}"))
