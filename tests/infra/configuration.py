"""Terraform's files as Python values: modules with their blocks, and the names that their expressions refer to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

# Not among the locked packages: it brings a package named cli, which would hide ours from the program bytemeter.
hcl2: Any = pytest.importorskip(
    "hcl2", "8", "needs python-hcl2 8 in an environment of its own: see CONTRIBUTING, Terraform"
)

INFRA = Path(__file__).parents[2] / "infra" / "terraform"
Body = dict[str, Any]

_MARKS = ("__is_block__", "__comments__", "__inline_comments__")
_REFERENCE = re.compile(r"(?<![\w.\"-])(var|local|module|data|google_\w+)\.([\w-]+)(?:\[[^\]]*\])*(?:\.(\w+))?")
_INTERPOLATED = re.compile(r"(?<!\$)\$\{([^}]*)\}")


@dataclass(frozen=True)
class Module:
    """One folder of Terraform: name -> body for each kind of block."""

    folder: Path
    parsed: tuple[Body, ...]

    def blocks(self, kind: str) -> dict[str, Body]:
        """The blocks of a kind by their labels, joined by a dot: ``{"google_sql_user.owner": {…}}``."""
        return {label: body for file in self.parsed for block in file.get(kind, []) for label, body in _labelled(block)}

    @property
    def local_names(self) -> set[str]:
        """Names that the blocks ``locals`` give."""
        return {name for file in self.parsed for block in file.get("locals", []) for name in attributes(block)}

    @property
    def references(self) -> set[tuple[str, str, str]]:
        """(kind, name, attribute) of all references in expressions: ``("var", "name", "")``."""
        texts = (text for file in self.parsed for text in _expressions(file))
        return {found.groups("") for text in texts for found in _REFERENCE.finditer(text)}  # type: ignore[misc]


@cache
def modules() -> dict[str, Module]:
    """All folders with Terraform's files, by their path below infra/terraform."""
    folders = sorted({path.parent for path in INFRA.rglob("*.tf") if ".terraform" not in path.parts})
    return {folder.relative_to(INFRA).as_posix(): _load(folder) for folder in folders}


def attributes(body: Body) -> Body:
    """A body without what the parser adds to it."""
    return {name: value for name, value in body.items() if name not in _MARKS}


def is_block(value: object) -> bool:
    """Whether a value of a body is one or more nested blocks, and not an attribute."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and "__is_block__" in item for item in value)
    )


def unquoted(text: str) -> str:
    return text.removeprefix('"').removesuffix('"')


def _load(folder: Path) -> Module:
    return Module(folder, tuple(hcl2.loads(path.read_text()) for path in sorted(folder.glob("*.tf"))))


def _labelled(block: Body) -> Iterator[tuple[str, Body]]:
    for label, body in attributes(block).items():
        if "__is_block__" in body:
            yield unquoted(label), body
        else:
            yield from ((f"{unquoted(label)}.{name}", nested) for name, nested in _labelled(body))


def _expressions(value: object) -> Iterator[str]:
    """The texts of all expressions in a value; of a quoted text only what is interpolated."""
    if isinstance(value, dict):
        for name, nested in attributes(value).items():
            yield from _expressions(name)
            yield from _expressions(nested)
    elif isinstance(value, list):
        for nested in value:
            yield from _expressions(nested)
    elif isinstance(value, str) and value.startswith('"'):
        yield from _INTERPOLATED.findall(value)
    elif isinstance(value, str):
        yield value
