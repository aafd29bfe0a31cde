"""What leases are of, in the words of error lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

_JOB = "job/"


class Leased(NamedTuple):
    """What a lease is of: a partition of a feed, or a job."""

    name: str
    partition: int = 0


class Words(Protocol):
    """The words for one kind of work."""

    def busy(self, names: Sequence[str], owner: str) -> str:
        """The line of a process that found others at work."""

    def overtaken(self, leased: Leased, other: str, silent_s: float) -> str:
        """The line of a process whose work another one has taken over."""


class CountingWords:
    """Of leases by which feeds are counted."""

    def busy(self, names: Sequence[str], owner: str) -> str:
        """See ``Words``."""
        named = f"feed {names[0]}" if len(names) == 1 else f"feeds {' and '.join(names)}"
        return (
            f"another process counts the {named} ({owner} holds the lease and is heard); "
            "one is enough: stop the other first"
        )

    def overtaken(self, leased: Leased, other: str, silent_s: float) -> str:
        """See ``Words``."""
        return (
            f"{other} has taken over partition {leased.partition} of the feed {leased.name}, since this process was "
            f"silent for over {silent_s:g} s; this one ends, what it had not committed is counted by the other"
        )


class JobWords:
    """Of leases by which jobs run."""

    def busy(self, names: Sequence[str], owner: str) -> str:
        """See ``Words``."""
        jobs = " and ".join(name.removeprefix(_JOB) for name in names)
        return f"another {jobs} job runs ({owner} holds the lease and is heard); wait for it, or stop it"

    def overtaken(self, leased: Leased, other: str, silent_s: float) -> str:
        """See ``Words``."""
        return (
            f"{other} has taken over the {leased.name.removeprefix(_JOB)} job, since this process was silent for over "
            f"{silent_s:g} s; this one ends, what it had not committed is done by the other"
        )


def job_lease(name: str) -> Leased:
    """What the lease of a job is of. Jobs that must not run at the same time share one name, such as ``hourly``."""
    return Leased(_JOB + name)
