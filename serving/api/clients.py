"""Who asks: clients with scopes; a client that is bound to an MSISDN or to a customer sees nothing else.

In the file of API keys: ``SCOPE[,SCOPE…] [msisdn=N | customer=C]``. A name of a customer is percent-encoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from bytemeter.web.keys import Grants
from bytemeter.web.problems import Problem

NETWORK, SUBSCRIBERS, BILLING = "network", "subscribers", "billing"
SCOPES = (NETWORK, SUBSCRIBERS, BILLING)
# What a bound client may have, by what it is bound to.
_OF_BOUND = {"msisdn": SUBSCRIBERS, "customer": BILLING}


@dataclass(frozen=True)
class Client:
    """Who asks.

    Attributes:
        name: of the client.
        scopes: what it may ask about.
        msisdn, customer: the only one that it sees; None for all.
    """

    name: str
    scopes: frozenset[str] = frozenset(SCOPES)
    msisdn: str | None = None
    customer: str | None = None

    def require(self, scope: str) -> None:
        """Let the client ask about what a scope covers.

        Raises:
            Problem: 403 if it may not.
        """
        if scope not in self.scopes:
            raise Problem(403, f"this API key has not the scope {scope}", name="scope", expected=scope)

    def sees(self, *, msisdn: str | None = None, customer: str | None = None) -> bool:
        """Whether a client with the scope may see this one; if not, it is to get the answer for an unknown one."""
        return (self.msisdn is None or self.msisdn == msisdn) and (self.customer is None or self.customer == customer)


# Without keys everybody is the same client.
ANYBODY = Client("anybody")


def _client(name: str, grants: str) -> Client:
    scopes, *bound = grants.split()
    given = frozenset(scopes.split(","))
    if unknown := sorted(given - set(SCOPES)):
        raise ValueError(f"names the scope {unknown[0]!r}; the scopes are {', '.join(SCOPES)}")
    if not bound:
        return Client(name, given)
    kind, _, value = bound[0].partition("=")
    if len(bound) > 1 or kind not in _OF_BOUND or not value:
        raise ValueError("has something behind the scopes; expected nothing, msisdn=N or customer=C")
    if given != {_OF_BOUND[kind]}:
        raise ValueError(f"is bound to one {kind}; its only scope can be {_OF_BOUND[kind]}")
    if kind == "msisdn":
        return Client(name, given, msisdn=unquote(value))
    return Client(name, given, customer=unquote(value))


CLIENTS = Grants("SCOPE[,SCOPE] [msisdn=N | customer=C]", _client)
