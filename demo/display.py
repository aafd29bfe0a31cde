"""The demo's terminal: lines above, and below them the screen, which is drawn anew each second."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

# For how many drawings a page stays where the screen is higher than the terminal.
_DRAWINGS_PER_PAGE = 6


@dataclass
class Display:
    """Lines and screen of the demo. Any thread may tell a line; one thread draws, and prints the lines of all.

    rich moves the cursor up by the height of what it drew last: a line that another thread prints meanwhile would
    leave parts of the screen behind.

    Attributes:
        places: addresses that stay at the top of the screen, by what is there.
    """

    console: Console
    places: dict[str, str] = field(default_factory=dict)
    _lines: SimpleQueue[Text] = field(default_factory=SimpleQueue)
    _live: Live | None = None
    _panels: Sequence[RenderableType] = ()
    _drawings: int = 0
    _printing: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, line: str) -> None:
        """Print a line above the screen: at once, or while figures are shown with their next drawing."""
        self._lines.put(Text.assemble(("bytemeter:", "dim"), " ", line))
        if self._live is None:
            self._print()

    def progress(self, place: str, line: str) -> None:
        """Show how far the start of a part is: at its place of the screen, or as a line where there is no terminal."""
        if self.console.is_terminal:
            self.places[place] = line
        else:
            self.tell(line)

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Show a screen until the end of the block; what is printed meanwhile becomes lines above it."""
        # A console without a file of its own would write to what standard output is replaced by.
        self.console.file = self.console.file
        lines = _Lines(lambda line: self._lines.put(Text(line)))
        live = Live(console=self.console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        try:
            with redirect_stdout(lines), redirect_stderr(lines), live:
                self._live = live
                try:
                    yield
                finally:
                    # What stays on the terminal: all figures, and no address, since nothing listens any more.
                    live.update(Group(*self._panels))
        finally:
            self._live = None
            if not self.console.is_terminal:
                self.console.line()
            self._print()

    def draw(self, panels: Sequence[RenderableType]) -> None:
        """Print the lines that wait, and draw the panels; those that do not fit are on further pages, in turn."""
        self._print()
        self._panels = panels
        if self._live is None:
            return
        pages = self._pages(panels)
        number = self._drawings // _DRAWINGS_PER_PAGE % len(pages)
        self._drawings += 1
        page = f"page {number + 1} of {len(pages)}; the next one comes by itself" if len(pages) > 1 else None
        self._live.update(Group(*self._top(page), *pages[number]), refresh=self.console.is_terminal)

    def _top(self, page: str | None = None) -> list[RenderableType]:
        if not self.places or not self.console.is_terminal:
            return []
        table = Table.grid(padding=(0, 2))
        for name, place in sorted(self.places.items()):
            table.add_row(name, Text(place))
        return [Panel(table, title="open", subtitle=page, border_style="green")]

    def _pages(self, panels: Sequence[RenderableType]) -> list[list[RenderableType]]:
        """The panels by pages; without a terminal all of them are one page."""
        if not self.console.is_terminal:
            return [list(panels)]
        left = room = self.console.height - sum(map(self._height, self._top()))
        pages: list[list[RenderableType]] = [[]]
        for panel in panels:
            height = self._height(panel)
            if height > left and pages[-1]:
                pages.append([])
                left = room
            pages[-1].append(panel)
            left -= height
        return pages

    def _height(self, panel: RenderableType) -> int:
        return len(self.console.render_lines(panel, pad=False))

    def _print(self) -> None:
        with self._printing:
            while True:
                try:
                    line = self._lines.get_nowait()
                except Empty:
                    return
                self.console.print(line)


class _Lines(io.TextIOBase):
    """A text stream that hands on complete lines, of each thread: ``print`` writes a line and its end apart."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell, self._begun = tell, threading.local()

    def write(self, text: str) -> int:
        *lines, self._begun.text = (getattr(self._begun, "text", "") + text).split("\n")
        for line in lines:
            self._tell(line)
        return len(text)

    def isatty(self) -> bool:
        return False
