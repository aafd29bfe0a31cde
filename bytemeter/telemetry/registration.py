"""Answers of Registration questions: who someone is, which goes to a topic of its own and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from bytemeter.telemetry.members import Members, UnreadableError, items_of, members_of, object_of, raw, text_of

_REGISTRATION = "registration"
# By eid the member of edata that describes the question, and the one with the answers.
_QUESTIONS = {"ASSESS": ("item", "resvalues"), "RESPONSE": ("target", "values")}


def answers_emptied(members: Members) -> Members | None:
    """The event without its answers, if its question is of the type Registration; else None."""
    eid = text_of(members.get("eid"))
    if eid not in _QUESTIONS:
        return None
    question, answers = _QUESTIONS[eid]
    edata = object_of(members.get("edata"))
    asked = object_of(edata.get(question))
    if not any(kind.lower() == _REGISTRATION for kind in _kinds(asked)):
        return None
    edata[answers] = raw([])
    return {**members, "edata": raw(edata)}


def _kinds(question: Members) -> Iterator[str]:
    """The texts that name a question's type: of the question, or of its params."""
    described = [question]
    with suppress(UnreadableError):
        described += [members_of(item) for item in items_of(question.get("params", b"[]"))]
    for members in described:
        for name in ("questionType", "type"):
            kind = text_of(members.get(name))
            if kind:
                yield kind
