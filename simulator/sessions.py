"""Sessions of telemetry that make sense: an app is started, pages are shown, content is played, and all of it ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

_PAGES = ("home", "library", "explore", "profile", "downloads")
_WORDS = ("fractions", "photosynthesis", "गणित", "rivers of Asia", "தமிழ்", "verbs")
_MEDIA = ("video", "book", "quiz")
# What may come between, with its weight.
_BETWEEN = {
    **{"LOG": 8, "SEARCH": 5, "INTERRUPT": 2, "SHARE": 2, "FEEDBACK": 2, "ERROR": 1},
    **{"HEARTBEAT": 1, "METRICS": 1, "AUDIT": 1, "EXDATA": 1},
}
_SHARED_AT_MOST = 3
# How often something comes between, and how often an answer is right.
_SOMETHING, _RIGHT = 0.6, 0.7
Members = dict[str, Any]


@dataclass
class Session:
    """One session of a user on a device: the events in their order, each made when it is due.

    Attributes:
        random: decides what happens.
        contents: how many pieces of content there are.
    """

    random: Random
    contents: int
    _views: int = field(default=0, init=False)
    _touches: int = field(default=0, init=False)
    _content: str = field(default="", init=False)
    _started: list[float] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._steps = self._plan()

    def next(self, at_ms: float) -> Members | None:
        """The next event at this time, of eid, edata and perhaps object; None once the session is over."""
        step = next(self._steps, None)
        if step is None:
            return None
        eid, *details = step.split()
        edata = getattr(self, f"_{eid.lower()}")(at_ms, *details)
        event: Members = {"eid": eid, "edata": edata}
        if self._content:
            event["object"] = {
                "id": self._content,
                "type": "Content",
                "ver": "1",
                "rollup": {"l1": f"{self._content}-book"},
            }
        return event

    def _plan(self) -> Iterator[str]:
        """The steps of a session: an eid, and for some steps its type, page or medium."""
        random = self.random
        yield "START app"
        yield "IMPRESSION home"
        for _ in range(random.randint(1, 4)):
            if random.random() < _SOMETHING:
                yield random.choices(list(_BETWEEN), list(_BETWEEN.values()))[0]
            yield f"IMPRESSION {random.choice(_PAGES)}"
            yield "INTERACT"
            media = random.choice(_MEDIA)
            self._content = f"do_{random.randrange(self.contents):08}"
            yield f"START {media}"
            for _ in range(random.randint(1, 3)):
                yield "IMPRESSION page"
                yield "INTERACT"
            for _ in range(random.randint(1, 3) if media == "quiz" else 0):
                yield "RESPONSE"
                yield "ASSESS"
            yield f"END {media}"
            self._content = ""
        yield "END app"
        yield "SUMMARY"

    def _start(self, at_ms: float, what: str) -> Members:
        self._started.append(at_ms)
        return {
            "type": what,
            "mode": "play" if self._content else "",
            "pageid": "start",
            "duration": self._seconds(0, 3),
        }

    def _end(self, at_ms: float, what: str) -> Members:
        started = self._started[-1] if self._content else self._started[0]
        if self._content:
            self._started.pop()
        return {"type": what, "duration": (at_ms - started) / 1_000, "summary": [{"pageviews": self._views}]}

    def _impression(self, _: float, page: str) -> Members:
        self._views += 1
        return {"type": "view", "pageid": page, "uri": f"app://{page}", "duration": self._seconds(0, 1)}

    def _interact(self, _: float) -> Members:
        self._touches += 1
        x, y = self.random.randrange(1_080), self.random.randrange(1_920)
        return {"type": "TOUCH", "id": f"button-{x % 9}", "extra": {"pos": [{"x": x, "y": y}]}}

    def _response(self, _: float) -> Members:
        chosen = self.random.randrange(4)
        target = {"id": f"{self._content}-q{self.random.randrange(9)}", "ver": "1", "type": "question"}
        return {"target": target, "type": "CHOOSE", "values": [{"choice": str(chosen)}]}

    def _assess(self, _: float) -> Members:
        right = self.random.random() < _RIGHT
        return {
            "item": {"id": f"{self._content}-q{self.random.randrange(9)}", "maxscore": 1},
            "pass": "Yes" if right else "No",
            "score": int(right),
            "resvalues": [{"choice": str(self.random.randrange(4))}],
            "duration": self._seconds(3, 60),
        }

    def _share(self, _: float) -> Members:
        shared = [
            f"do_{self.random.randrange(self.contents):08}" for _ in range(self.random.randint(1, _SHARED_AT_MOST))
        ]
        items = [
            {"id": id_, "type": "CONTENT", "ver": "1", "params": [{"transfers": n}]} for n, id_ in enumerate(shared)
        ]
        return {"dir": "Out", "type": "File", "items": items}

    def _search(self, _: float) -> Members:
        found = self.random.randrange(50)
        top = [{"identifier": f"do_{self.random.randrange(self.contents):08}"} for _ in range(min(found, 3))]
        return {"type": "content", "query": self.random.choice(_WORDS), "size": found, "topn": top, "filters": {}}

    def _interrupt(self, _: float) -> Members:
        return {"type": self.random.choice(["CALL", "BACKGROUND"]), "pageid": self.random.choice(_PAGES)}

    def _feedback(self, _: float) -> Members:
        return {"rating": self.random.randint(1, 5), "comments": self.random.choice(["", "👍", "too long"])}

    def _log(self, _: float) -> Members:
        took = self.random.randrange(2_000)
        return {"type": "api_call", "level": "INFO", "message": "content read", "params": [{"milliseconds": took}]}

    def _error(self, _: float) -> Members:
        return {"err": "503", "errtype": "NETWORK", "stacktrace": "TimeoutError: no answer after 10 s"}

    def _heartbeat(self, _: float) -> Members:
        return {"battery": self.random.randint(1, 100)}

    def _metrics(self, _: float) -> Members:
        return {"system": "app", "subsystem": "memory", "metrics": [{"metric": "used", "value": self.random.random()}]}

    def _audit(self, _: float) -> Members:
        return {"props": ["status"], "state": "Downloaded", "prevstate": "Known"}

    def _exdata(self, _: float) -> Members:
        return {"type": "partner", "data": f"{self.random.getrandbits(64):016x}"}

    def _summary(self, at_ms: float) -> Members:
        began = self._started[0]
        return {
            "type": "session",
            "starttime": began,
            "endtime": at_ms,
            "timespent": (at_ms - began) / 1_000,
            "pageviews": self._views,
            "interactions": self._touches,
        }

    def _seconds(self, least: int, most: int) -> float:
        return self.random.randint(1_000 * least, 1_000 * most) / 1_000
