"""API keys: which client a request comes from. A file holds their hashes, and is read again when it changes.

A line of the file is ``CLIENT SHA256 GRANTS``, where the server says what its grants are, and ``#`` begins a comment. A
client may have several lines, so that a new key can be given out before the old one is removed.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from starlette.requests import Request

from bytemeter.errors import BytemeterError
from bytemeter.logs import logger
from bytemeter.secret_files import read_private
from bytemeter.web.problems import Problem, header

_LINE = re.compile(r"(?P<client>[A-Za-z0-9._-]{1,64})\s+(?P<hash>[0-9a-f]{64})\s+(?P<grants>\S.*)")
_LOOK_AGAIN_S = 1.0
_MOST_BYTES = 10_000_000


_Client = TypeVar("_Client")


@dataclass(frozen=True)
class Grants(Generic[_Client]):
    """What a server lets clients do.

    Attributes:
        expected: the form of a line's grants, such as ``FEED[,FEED]``.
        client: the client with a name and its grants, as the line has them; raises ValueError if they mean nothing,
            with the end of a sentence that begins with the line.
    """

    expected: str
    client: Callable[[str, str], _Client]


class Keys(Generic[_Client]):
    """The keys of a file, as it is now."""

    def __init__(self, file: Path, grants: Grants[_Client], clock: Callable[[], float] = time.monotonic) -> None:
        """Read the file.

        Raises:
            BytemeterError: it cannot be read, or a line is malformed.
        """
        self._file, self._grants, self._clock = file, grants, clock
        self._looked_at = clock()
        self._version = self._version_now()
        self._clients = read_keys(file, grants)

    def client_of(self, request: Request) -> _Client:
        """The client that a request comes from.

        Raises:
            Problem: 400 if it has several headers ``Authorization``; see ``client``.
        """
        return self.client(header(request, "Authorization"))

    def client(self, authorization: str | None) -> _Client:
        """The client with the key of a request's header ``Authorization``.

        Raises:
            Problem: 401 without a key, or with one that is unknown.
        """
        self._look_again()
        scheme, _, key = (authorization or "").partition(" ")
        client = self._clients.get(_hash(key.strip())) if scheme.lower() == "bearer" else None
        if client is None:
            seen = "an unknown API key" if authorization else "no API key"
            raise Problem(
                401,
                f"the request has {seen}; expected the header Authorization: Bearer KEY",
                headers={"WWW-Authenticate": "Bearer"},
                name="Authorization",
                expected="Bearer KEY",
            )
        return client

    def _look_again(self) -> None:
        """Read the file if it has changed. A file that cannot be used leaves the keys as they are."""
        if self._clock() < self._looked_at + _LOOK_AGAIN_S:
            return
        self._looked_at = self._clock()
        version = self._version_now()
        if version == self._version:
            return
        self._version = version
        try:
            self._clients = read_keys(self._file, self._grants)
            logger().info("API keys read", file=str(self._file), keys=len(self._clients))
        except BytemeterError as error:
            logger().error("API keys stay as they were", error=str(error))

    def _version_now(self) -> tuple[int, int, int] | None:
        try:
            stat = self._file.stat()
        except OSError:
            return None
        # The time of the last change of its content, owner or mode: a file may have become readable.
        return stat.st_ctime_ns, stat.st_size, stat.st_ino


def read_keys(file: Path, grants: Grants[_Client]) -> Mapping[str, _Client]:
    """The clients of a file by the SHA-256 of their keys.

    Raises:
        BytemeterError: the file cannot be read, others may write it, or a line is malformed.
    """
    try:
        text = read_private(file, _MOST_BYTES)
    except ValueError as error:
        raise BytemeterError(f"--keys: {error}") from None
    clients: dict[str, _Client] = {}
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition("#")[0].strip()
        if content:
            where = f"--keys: line {number} of {file}"
            hash_, client = _client(content, grants, where)
            if hash_ in clients:
                raise BytemeterError(f"{where} has the key of an earlier line; name all feeds of a key in one line")
            clients[hash_] = client
    return clients


def _client(line: str, grants: Grants[_Client], where: str) -> tuple[str, _Client]:
    match = _LINE.fullmatch(line)
    if match is None:
        # The line is not shown: it may hold a key in place of its hash.
        raise BytemeterError(
            f"{where} is malformed; expected CLIENT, the SHA-256 of the key in hex, and {grants.expected}"
        )
    try:
        return match["hash"], grants.client(match["client"], match["grants"])
    except ValueError as error:
        raise BytemeterError(f"{where} {error}") from None


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
