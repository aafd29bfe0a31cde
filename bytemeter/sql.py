"""SQL files: migrations and queries in ``sql/``, and named statements beside the modules that run them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path

from sqlalchemy import TextClause, text

_HERE = Path(__file__).parent
# Beside the packages in a checkout, inside ``bytemeter`` once installed.
SQL = _HERE / "sql" if (_HERE / "sql").is_dir() else _HERE.parent / "sql"
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def migration_files() -> dict[str, Path]:
    """The migrations by name, in the order in which they are applied."""
    return {path.stem: path for path in sorted((SQL / "migrations").glob("*.sql"))}


def query(name: str) -> str:
    """The text of ``sql/queries/<name>.sql``."""
    return (SQL / "queries" / f"{name}.sql").read_text()


@dataclass(frozen=True)
class Statements:
    """The named statements of a ``.sql`` file beside a module.

    In the file each statement begins with a line ``-- name: <name>``; comments under it say what it reads and writes.
    Parameters are written ``:name``.

    Attributes:
        package: the package that contains the file, usually ``__package__``.
        file: the file's name.
    """

    package: str
    file: str

    def __getitem__(self, name: str) -> TextClause:
        """The statement of that name, ready to be executed with parameters.

        Raises:
            KeyError: the file has no such statement.
        """
        return text(self.raw(name))

    def raw(self, name: str) -> str:
        """The text of the statement of that name, for COPY or for several commands in one string.

        Raises:
            KeyError: the file has no such statement.
        """
        return self.by_name[name]

    @cached_property
    def by_name(self) -> dict[str, str]:
        """The text of each statement, without the final semicolon."""
        # A zip file that was given to spark-submit is read, too.
        content = resources.files(self.package).joinpath(self.file).read_text()
        _, *parts = _NAME.split(content)
        return {name: body.strip().removesuffix(";") for name, body in zip(parts[::2], parts[1::2], strict=True)}
