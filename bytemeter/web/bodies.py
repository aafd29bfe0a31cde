"""The body of a request: read within the limits of size and time, and inflated within them."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.requests import Request

from bytemeter.web.problems import Problem, header, try_later, wrong_parameter

_GZIP = 31  # zlib's wbits for the format gzip
_MOST_MEMBERS, _PIECE = 1_000, 65_536


# So many bodies of the largest size are held at once.
_BODIES_HELD = 8


@dataclass
class Bodies:
    """The bodies of a server's requests: how large one may be, and what all of them hold now.

    Attributes:
        most_bytes: of one body, as sent and inflated.
        timeout_s: seconds for a body to arrive.
        held_bytes: of bodies of requests that were not answered yet, and of answers that clients do not read.
    """

    most_bytes: int
    timeout_s: float
    held_bytes: int = 0

    def hold(self, size: int) -> None:
        """Hold so many more bytes.

        Raises:
            Problem: 429 if bodies of other requests take the room.
        """
        if self.held_bytes + size > _BODIES_HELD * self.most_bytes:
            raise try_later(429, f"bodies of {self.held_bytes} bytes are in flight; repeat the request", 1)
        self.held_bytes += size

    def release(self, size: int) -> None:
        """Give back what was held."""
        self.held_bytes -= size


class _Held:
    """Bytes that a request holds."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.bytes = 0

    def add(self, size: int) -> None:
        self._bodies.hold(size)
        self.bytes += size

    def release(self) -> None:
        self._bodies.release(self.bytes)


@asynccontextmanager
async def body_of(request: Request, bodies: Bodies, most_bytes: int | None = None) -> AsyncIterator[bytes]:
    """The body, inflated if it is sent with ``Content-Encoding: gzip``; its bytes are held while the block runs.

    Args:
        most_bytes: of this body, where that is less than what the server takes.

    Raises:
        Problem: 400 if it is no gzip, 408 if it does not arrive in time, 413 if it is too large, 415 if it is encoded
            in another way, 429 if there is no room for it now.
    """
    encoding = (header(request, "Content-Encoding") or "identity").strip().lower()
    if encoding not in ("gzip", "identity"):
        raise wrong_parameter(415, "Content-Encoding", encoding, "gzip or none")
    held = _Held(bodies)
    most = bodies.most_bytes if most_bytes is None else min(most_bytes, bodies.most_bytes)
    try:
        body = await _read(request, bodies, held, most)
        if encoding == "gzip":
            body = inflated(body, most)
            held.add(len(body))
        yield body
    finally:
        held.release()


async def _read(request: Request, bodies: Bodies, held: _Held, most: int) -> bytes:
    announced = int(request.headers.get("content-length", "0"))
    if announced > most:
        raise _too_large(f"{announced} bytes", most, asks_first="expect" in request.headers)
    chunks: list[bytes] = []
    try:
        async with asyncio.timeout(bodies.timeout_s):
            async for chunk in request.stream():
                chunks.append(chunk)
                held.add(len(chunk))
                if held.bytes > most:
                    raise _too_large(f"over {most} bytes", most)
    except TimeoutError:
        detail = f"{held.bytes} bytes of the body arrived in {bodies.timeout_s:g} s; expected all of it"
        raise Problem(408, detail, headers={"Connection": "close"}) from None
    return b"".join(chunks)


def inflated(body: bytes, most: int) -> bytes:
    """The content of a gzip file of one or more members.

    Raises:
        Problem: 400 if it is no gzip, is cut short or has over a thousand members, 413 if it has more than ``most``
            bytes.
    """
    parts: list[bytes] = []
    size = place = members = 0
    while place < len(body) or not members:
        members += 1
        if members > _MOST_MEMBERS:
            raise Problem(400, f"the body's gzip has over {_MOST_MEMBERS} members; send one")
        inflating = zlib.decompressobj(_GZIP)
        while not inflating.eof:
            # Piece by piece: zlib copies what is left at the end of each member.
            piece = body[place : place + _PIECE]
            if not piece:
                raise Problem(400, "the body's gzip is cut short; send all of it")
            try:
                parts.append(inflating.decompress(piece, most - size + 1))
            except zlib.error:
                raise Problem(400, "the body is not gzip; expected what Content-Encoding says") from None
            place += len(piece) - len(inflating.unused_data)
            size += len(parts[-1])
            if size > most:
                raise _too_large(f"over {most} bytes when inflated", most)
    return b"".join(parts)


def _too_large(seen: str, most: int, *, asks_first: bool = False) -> Problem:
    """The problem of a large body. What is left of it is read and thrown away, so that the client sees the answer.

    Args:
        asks_first: the client sends it only if we want it, which leaves in doubt what follows on the connection.
    """
    headers = {"Connection": "close"} if asks_first else None
    return Problem(413, f"the body has {seen}; send at most {most}, also when inflated", headers=headers)
