"""Events of the feed ``billable-events``: customers who are billed for messages, data, calls, packs and the rest."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from simulator import faults
from simulator.simulation import Simulation
from simulator.texts import Ints, decimal, hexadecimal, joined, plain
from simulator.traffic import Message, Traffic, Zipf, messages_of

CUSTOMERS = ("Emma", "Olivia", "Sophia", "Ava", "Isabella", "Noah", "Liam", "Mason", "Jacob", "William")
TYPES = ("MESSAGE", "DATA", "CALL", "PACK", "MISC")
_LEAST_CENTS, _MOST_CENTS = 49, 1_000
_CREDITS = 0.02


class BillableEventSimulation(Simulation):
    """Customers and their events, of 0.49 to 10.00 EUR each; two of a hundred are credits.

    Attributes:
        sent: its ``valid_bytes`` are cents.
    """

    feed = "billable-events"
    faults = faults.BILLABLE_EVENTS

    def __init__(self, traffic: Traffic) -> None:
        super().__init__(traffic)
        # As many as subscribers; the first ten by their names.
        more = [f"Customer {n}" for n in range(len(CUSTOMERS) + 1, traffic.subscribers + 1)]
        self._customers = pa.array([*CUSTOMERS, *more][: traffic.subscribers])
        self._by_customer = Zipf(len(self._customers), traffic.skew)
        self._types = pa.array(TYPES)

    def draw(self, count: int) -> Ints:
        """See ``Simulation``; the cents of each event."""
        self._salt = f"{int(self.rng.integers(2**63)):016x}"
        cents: Ints = self.rng.integers(_LEAST_CENTS, _MOST_CENTS, count, endpoint=True)
        self._credits = self.rng.random(count) < _CREDITS
        self._cents = cents
        self._drawn_customers = self._by_customer.draw(self.rng, count)
        self._drawn_types = self.rng.integers(len(TYPES), size=count)
        return np.where(self._credits, -cents, cents)

    def messages(self, seconds: Ints) -> list[Message]:
        """See ``Simulation``."""
        customers = self._customers.take(self._drawn_customers)
        indexes = self.sent.records + np.arange(len(seconds))
        event_ids = ('","event_id":"', self._salt, hexadecimal(indexes)) if self.traffic.event_ids else ()
        signs = pa.array(np.where(self._credits, "-", ""), pa.string())
        values = joined(
            '{"timestamp":', plain(seconds),
            ',"customer":"', customers,
            # Whole euros, a point and two digits: no amount is ever a float.
            '","amount":"', signs, plain(self._cents // 100), ".", decimal(self._cents % 100, 2),
            '","type":"', self._types.take(self._drawn_types), *event_ids, '"}',
        )  # fmt: skip
        return messages_of(customers, values)

    def shown(self) -> str:
        """What the valid, distinct events come to, such as ``1234.56 EUR``."""
        cents = self.sent.valid_bytes
        return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02} EUR"
