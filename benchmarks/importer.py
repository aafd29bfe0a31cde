"""The importer beside a bare producer of ready messages: lines/s for kinds of files, and memory over a long file."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import psutil

from benchmarks.topics import Topics, seconds_to_send
from bytemeter.settings import PREFIX, Settings
from simulator.traffic import Message

_PIECE = 10_000
_SAMPLE_S = 0.25
_STREETS = ("Łódź", "Kraków", "Gdańsk")


def measure_importer(topics: Topics, rounds: int, long_lines: int) -> None:
    """Print lines/s of a bare producer and of imports, and the memory of the import of one long file.

    Args:
        long_lines: of the long file; 0 to leave it out.
    """
    settings = topics.place("importer.")
    folder = topics.home / "import"
    rates: dict[str, list[float]] = {}
    memory_mib: list[float] = []
    for round_ in range(rounds):
        pieces = ((0.0, messages) for messages in _messages(topics.records))
        rates.setdefault("bare producer, built before", []).append(
            topics.records / seconds_to_send(settings, "data-records", list(pieces))
        )
        for kind, write in _KINDS.items():
            write(folder, topics.records, round_)
            seconds, cpu_s, samples = _import(settings, folder)
            rates.setdefault(f"import of {kind}", []).append(topics.records / seconds)
            print(
                f"round {round_ + 1}, {kind}: {1e6 * cpu_s / topics.records:.2f} μs of processor time a line",
                flush=True,
            )
            memory_mib.append(max(samples))
    print(f"\nimporter: {topics.records:,} data records, {rounds} rounds, from the start of the command to its end")
    for name, measured in rates.items():
        print(f"{name:<44}best {max(measured):>10,.0f}/s   median {median(measured):>10,.0f}/s")
    print("most resident memory of each import, MiB: " + ", ".join(f"{mib:.0f}" for mib in memory_mib))
    if long_lines:
        _write_lines(folder, long_lines, rounds)
        seconds, _, samples = _import(settings, folder)
        tenths = [samples[len(samples) * tenth // 10] for tenth in range(1, 10)]
        print(
            f"one file of {long_lines:,} lines: {long_lines / seconds:,.0f}/s; resident memory after each tenth of the "
            "time, MiB: " + ", ".join(f"{mib:.0f}" for mib in [*tenths, samples[-1]]),
            flush=True,
        )


def _import(settings: Settings, folder: Path) -> tuple[float, float, list[float]]:
    """Import what waits in a folder by a process of its own: its seconds, its processor time, and its memory in MiB."""
    command = [sys.executable, "-m", "cli", "--kafka", str(settings.kafka), "import", str(folder)]
    environment = {
        **os.environ,
        f"{PREFIX}TOPIC_PREFIX": settings.topic_prefix,
        f"{PREFIX}DATABASE_URL": settings.require_database_url(),
    }
    began, samples, cpu_s = time.perf_counter(), [0.0], 0.0
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as running:
        process = psutil.Process(running.pid)
        while running.poll() is None:
            try:
                times = process.cpu_times()
                cpu_s = times.user + times.system
                samples.append(process.memory_info().rss / 2**20)
            except psutil.Error:
                break
            try:
                running.wait(_SAMPLE_S)
            except subprocess.TimeoutExpired:
                continue
    seconds = time.perf_counter() - began
    shutil.rmtree(folder)
    if running.returncode:
        raise RuntimeError(f"the import ended with exit code {running.returncode}")
    return seconds, cpu_s, [sample for sample in samples if sample] or [0.0]


def _rows(records: int, round_: int) -> Iterator[tuple[str, str, str, int]]:
    """Records with ids as networks write them, of 100,000 subscribers; several come in the same second."""
    for number in range(records):
        hours, second = divmod(number // 50, 3_600)
        days, hour = divmod(hours, 24)
        at = f"2026-11-{1 + days % 28:02d}T{hour:02d}:{second // 60:02d}:{second % 60:02d}"
        id_ = f"{round_:08x}-93e5-3fab-f8f3-{number:012d}"
        yield id_, f"{at}+01:00[Europe/Warsaw]", f"4891{number * 7_919 % 100_000:07d}", number * 104_729 % 2**30


def _messages(records: int) -> Iterator[list[Message]]:
    piece: list[Message] = []
    for id_, at, msisdn, size in _rows(records, 0):
        value = f'{{"id":"{id_}","recordedAt":"{at}","msisdn":"{msisdn}","recordedBytes":{size},"internalId":"{id_}"}}'
        piece.append({"value": value.encode(), "key": msisdn.encode()})
        if len(piece) == _PIECE:
            yield piece
            piece = []
    yield piece


def _write_lines(folder: Path, records: int, round_: int) -> None:
    _write(folder, records, round_, lambda *cells: ";".join(map(str, cells)))


def _write_quoted(folder: Path, records: int, round_: int) -> None:
    folder.mkdir(exist_ok=True)
    with gzip.open(folder / "records.csv.gz", "wt", compresslevel=1) as file:
        file.write("msisdn,bytes,id,recordedAt,place\r\n")
        for number, (id_, at, msisdn, size) in enumerate(_rows(records, 100 + round_)):
            # Each record has an instant of its own.
            exact = f"{at[:19]}.{number % 1_000_000:06d}{at[19:]}"
            file.write(f'"{msisdn}","{size}","{id_}","{exact}","{_STREETS[number % 3]}"\r\n')


def _write_ndjson(folder: Path, records: int, round_: int) -> None:
    def json(id_: str, at: str, msisdn: str, size: int) -> str:
        return f'{{"id": "{id_}", "msisdn": "{msisdn}", "recordedAt": "{at}", "recordedBytes": {size}}}'

    _write(folder, records, 200 + round_, json)


def _write_bad(folder: Path, records: int, round_: int) -> None:
    def line(id_: str, at: str, msisdn: str, size: int) -> str:
        cells = (id_, at, "nobody" if size % 100 == 0 else msisdn, size)
        return ";".join(map(str, cells)) if size % 100 != 1 else f'{id_};"'

    _write(folder, records, 300 + round_, line)


def _write(folder: Path, records: int, round_: int, line: Callable[[str, str, str, int], str]) -> None:
    folder.mkdir(exist_ok=True)
    with (folder / "records").open("w") as file:
        for row in _rows(records, round_):
            file.write(line(*row) + "\n")


_KINDS: dict[str, Callable[[Path, int, int], None]] = {
    "lines": _write_lines,
    "CSV, quoted, gzip, exact instants": _write_quoted,
    "NDJSON": _write_ndjson,
    "lines, 2 % of them bad": _write_bad,
}
