"""The demo's terminal: no line is lost and no part of the screen is left behind, whoever prints meanwhile."""

from __future__ import annotations

import io
import re
import sys
import threading
from collections.abc import Iterator

import pytest
from rich.console import Console
from rich.panel import Panel

from demo.display import Display

WIDTH, HEIGHT = 60, 20


@pytest.fixture
def display() -> Display:
    return Display(Console(file=io.StringIO(), force_terminal=True, width=WIDTH, height=HEIGHT, legacy_windows=False))


@pytest.fixture
def threads_take_turns_often() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def written(display: Display) -> str:
    file = display.console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def shown(display: Display) -> list[str]:
    """The lines that a terminal shows after all that was written: what was erased is gone."""
    lines, at = [""], 0
    for part in re.split(r"(\x1b\[[\d;?]*[A-Za-z]|\n|\r)", written(display)):
        if part == "\n":
            at += 1
            lines += [""] * (at == len(lines))
        elif part == "\x1b[1A":
            at -= 1
        elif part == "\x1b[2K":
            lines[at] = ""
        elif part and not part.startswith(("\x1b", "\r")):
            lines[at] += part
    return [line for line in lines if line.strip()]


def panels(*heights: int) -> Iterator[Panel]:
    for number, height in enumerate(heights):
        yield Panel("\n".join(f"{number}.{line}" for line in range(height - 2)))


@pytest.mark.usefixtures("threads_take_turns_often")
def test_lines_of_many_threads_leave_nothing_of_the_screen_behind(display: Display) -> None:
    def print_some(thread: int) -> None:
        for number in range(50):
            print(f"print {thread} {number}") if thread % 2 else display.tell(f"tell {thread} {number}")  # noqa: T201

    with display.drawing():
        threads = [threading.Thread(target=print_some, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        drawing = 0
        while any(thread.is_alive() for thread in threads) or drawing < 20:
            display.draw(list(panels(3 + drawing % 5)))
            drawing += 1
    lines = shown(display)
    told = [line for line in lines if re.search(r"(tell|print) \d \d+$", line)]
    assert len(told) == 200
    assert sum(line.startswith("╭") for line in lines) == 1
    assert lines[-1].startswith("╰")


def test_panels_that_do_not_fit_take_turns_and_the_last_screen_has_all_of_them(display: Display) -> None:
    display.places["collector"] = "http://127.0.0.1:5000"
    seen = []
    with display.drawing():
        for _ in range(18):
            display.draw(list(panels(8, 8, 9)))
            seen.append(shown(display))
    pages = ["".join(sorted({line[2] for line in lines if re.match(r"│ \d\.", line)})) for lines in seen]
    assert pages == ["01"] * 6 + ["2"] * 6 + ["01"] * 6
    assert all(len(lines) <= HEIGHT and any("127.0.0.1:5000" in line for line in lines) for lines in seen)
    assert {line[2] for line in shown(display) if re.match(r"│ \d\.", line)} == {"0", "1", "2"}


def test_how_far_a_part_is_stands_at_its_place_and_without_a_terminal_in_lines() -> None:
    files = [io.StringIO(), io.StringIO()]
    for file, terminal in zip(files, (True, False), strict=True):
        display = Display(Console(file=file, force_terminal=terminal, width=WIDTH, height=HEIGHT))
        with display.drawing():
            display.progress("dashboards", "installing [b]")
            display.draw(list(panels(3)))
    terminal, plain = (file.getvalue() for file in files)
    assert "dashboards  installing [b]" in terminal
    assert "bytemeter: installing [b]" not in terminal
    assert "bytemeter: installing [b]" in plain


def test_what_is_printed_goes_above_the_screen_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display(Console(force_terminal=True, width=WIDTH, height=HEIGHT))
    with display.drawing():
        print("printed")  # noqa: T201
        display.draw(list(panels(3)))
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0].endswith("printed")
    assert any("│ 0.0" in line for line in lines)
