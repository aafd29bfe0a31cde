"""All that is random in a run is drawn from one seed, which is printed and can be given."""

from __future__ import annotations

import os
import subprocess
import sys

import hypothesis.core
import pytest

from tests.seeds import SEED, VARIABLE


def test_the_seed_of_the_run_is_printed_and_hypothesis_draws_by_it(seed: int, request: pytest.FixtureRequest) -> None:
    config = request.config
    headers = config.hook.pytest_report_header(config=config, start_path=config.rootpath)
    assert f"seed: {SEED} (BYTEMETER_TEST_SEED={SEED} repeats it)" in headers
    assert seed == SEED
    assert hypothesis.core.global_force_seed == int(config.getoption("--hypothesis-seed"))


def test_what_is_no_seed_is_refused_in_a_line() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", __file__]
    done = subprocess.run(command, env={**os.environ, VARIABLE: "x1"}, capture_output=True, text=True, check=False)
    (line,) = (line for line in done.stderr.splitlines() if line)
    assert line == "ERROR: BYTEMETER_TEST_SEED is 'x1'; expected the number that a run printed as its seed"
