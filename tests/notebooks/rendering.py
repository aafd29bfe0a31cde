"""Runs a notebook, and writes it with what it gave as Markdown with pictures."""

from __future__ import annotations

import asyncio
import base64
import re
from dataclasses import dataclass
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parents[2] / "notebooks"
DOCS = Path(__file__).parents[2] / "docs/notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
_CELL_TIMEOUT_S = 60
_AT_ONCE = 2
_NOTE = "<!-- written by: make notebook-docs -->\n\n"


@dataclass(frozen=True)
class Rendered:
    """A notebook as Markdown, and its pictures (PNG) by their file names."""

    name: str
    markdown: str
    pictures: dict[str, bytes]

    def write(self, folder: Path) -> None:
        """Write ``<name>.md`` and ``images/<name>-<n>.png``."""
        (folder / f"{self.name}.md").write_text(self.markdown)
        (folder / "images").mkdir(exist_ok=True)
        for name, picture in self.pictures.items():
            (folder / "images" / name).write_bytes(picture)


def executed(*names: str) -> dict[str, NotebookNode]:
    """The notebooks with the outputs of all their cells, each run in a kernel with this process's environment.

    Raises:
        CellExecutionError: a cell failed; the message has the cell and its error.
    """

    async def all_of_them() -> list[NotebookNode]:
        free = asyncio.Semaphore(_AT_ONCE)
        return await asyncio.gather(*(_executed(name, free) for name in names))

    return dict(zip(names, asyncio.run(all_of_them()), strict=True))


async def _executed(name: str, free: asyncio.Semaphore) -> NotebookNode:
    notebook = jupytext.read(FOLDER / f"{name}.py")
    client = NotebookClient(notebook, timeout=_CELL_TIMEOUT_S, resources={"metadata": {"path": str(FOLDER)}})
    async with free:
        await client.async_execute()
    return notebook


def sources(name: str) -> list[str]:
    """The cells as they stand in the Markdown, without outputs."""
    return [_source(cell) for cell in jupytext.read(FOLDER / f"{name}.py").cells]


def texts(notebook: NotebookNode) -> str:
    """All outputs that are text."""
    return "\n".join(output["data"]["text/plain"] for output in _outputs(notebook) if "data" in output)


def rendered(name: str, notebook: NotebookNode) -> Rendered:
    """The notebook as Markdown; each picture stands where it was drawn."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in notebook.cells:
        parts.append(_source(cell))
        for output in cell.get("outputs", ()):
            shown = output.get("data", {"text/plain": output.get("text", "")})
            if "image/png" in shown:
                picture = f"{name.replace('_', '-')}-{len(pictures) + 1}.png"
                pictures[picture] = base64.b64decode(shown["image/png"])
                parts.append(f"![{_title(cell)}](images/{picture})")
            else:
                parts.append(f"```text\n{_without_trailing_spaces(shown['text/plain'])}\n```")
    return Rendered(name, _NOTE + "\n\n".join(parts) + "\n", pictures)


def _source(cell: NotebookNode) -> str:
    return cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```"


def _outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def _title(cell: NotebookNode) -> str:
    found = re.search(r'title=f?"([^"{]*)', cell.source)
    return found.group(1).strip(" ,") if found else "picture"


def _without_trailing_spaces(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
