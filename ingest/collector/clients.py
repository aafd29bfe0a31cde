"""Who sends: a collector's clients and their feeds; in the file of API keys ``FEED[,FEED…]``, or ``*`` for all."""

from __future__ import annotations

from dataclasses import dataclass

from bytemeter.feeds import TAKEN
from bytemeter.web.keys import Grants
from bytemeter.web.problems import Problem

_ALL = "*"


@dataclass(frozen=True)
class Client:
    """Who sends.

    Attributes:
        name: of the client.
        feeds: the names of the feeds that it may send; None for all.
    """

    name: str
    feeds: frozenset[str] | None = None

    def require(self, feed: str) -> None:
        """Let the client send to a feed.

        Raises:
            Problem: 403 if it may not.
        """
        if self.feeds is not None and feed not in self.feeds:
            raise Problem(403, f"this API key may not send to the feed {feed!r}", name="feed", value=feed)


# Without keys everybody is the same client.
ANYBODY = Client("anybody")


def _client(name: str, grants: str) -> Client:
    feeds = frozenset(grants.split(","))
    if unknown := sorted(feeds - TAKEN.keys() - {_ALL}):
        raise ValueError(f"names the feed {unknown[0]!r}; the feeds are {', '.join(TAKEN)}, or * for all")
    return Client(name, None if _ALL in feeds else feeds)


CLIENTS = Grants("FEED[,FEED]", _client)
