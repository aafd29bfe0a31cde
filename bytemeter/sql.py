"""Where the SQL files are: beside the packages in a checkout, inside ``bytemeter`` once installed."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent
SQL = _HERE / "sql" if (_HERE / "sql").is_dir() else _HERE.parent / "sql"


def migration_files() -> dict[str, Path]:
    """The migrations by name, in the order in which they are applied."""
    return {path.stem: path for path in sorted((SQL / "migrations").glob("*.sql"))}


def query(name: str) -> str:
    """The text of ``sql/queries/<name>.sql``."""
    return (SQL / "queries" / f"{name}.sql").read_text()
