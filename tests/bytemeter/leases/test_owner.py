"""Owners of leases: which of them are known to be dead."""

from __future__ import annotations

import subprocess
import sys

from bytemeter.leases.owner import is_dead, shown, this_process

PROGRAM = "from bytemeter.leases.owner import this_process; print(this_process())"


def test_this_process_is_alive() -> None:
    assert not is_dead(this_process())


def test_a_process_that_has_ended_is_dead() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert is_dead(ended.stdout.strip())


def test_a_process_id_that_was_used_again_is_another_process() -> None:
    host, pid, _, where = this_process().split()
    assert is_dead(f"{host} {pid} 1 {where}")


def test_of_a_process_elsewhere_nothing_is_known() -> None:
    host, _, started, where = this_process().split()
    assert not is_dead(f"{host} 999999999 {started} another-{where}")
    assert not is_dead("written by hand")


def test_an_owner_is_shown_by_its_process_and_host() -> None:
    assert shown("db1 4711 88 where") == "process 4711 on db1"
