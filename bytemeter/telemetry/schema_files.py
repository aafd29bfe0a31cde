"""The JSON Schemas of events: ours are files of this package, a user's are files of a folder, each named by its eid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from bytemeter.errors import BytemeterError

# What a schema refers to as "bytemeter:telemetry/parts#/$defs/event" and the like.
PARTS_URI = "bytemeter:telemetry/parts"
_PARTS = "parts"


@cache
def ours(eid: str) -> str:
    """Our schema of an event kind, as JSON."""
    # Also from a zip file, which is what --py-files brings to executors.
    return (resources.files(__package__) / "schemas" / f"{eid}.json").read_text("utf-8")


@cache
def parts() -> dict[str, Any]:
    """The document of the parts that schemas share; all its references name it."""
    found: dict[str, Any] = json.loads(ours(_PARTS).replace('"$ref": "#', f'"$ref": "{PARTS_URI}#'))
    return found


def read_folder(folder: Path | None) -> Mapping[str, str]:
    """The schemas of a folder by eid: of each file ``<eid>.json`` its text.

    Raises:
        BytemeterError: a file cannot be read, or is not the JSON Schema of an event.
    """
    if folder is None:
        return {}
    # Not on executors: they get the texts.
    from bytemeter.telemetry.validating import compiled

    found: dict[str, str] = {}
    for file in sorted(folder.glob("*.json")):
        try:
            found[file.stem] = file.read_text("utf-8")
            compiled(found[file.stem])
        except (OSError, ValueError) as error:
            detail = " ".join(str(error).split())
            raise BytemeterError(f"{file}: {detail}; expected a JSON Schema of events with this eid") from None
    return found
