"""What schemathesis makes of the OpenAPI document: each answer is one that the document names, and none is an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bytemeter.settings import load_settings
from tests.collectors import NO_KAFKA, serving
from tests.seeds import SEED

# Kafka is away: the generator says so, and events go to the journal. A month may not have begun.
EXPECTED = """
[[operations]]
include-path-regex = "/api/"
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", 503]
checks.positive_data_acceptance.expected-statuses = [400, 503]
"""


def test_requests_of_all_kinds_get_the_answers_that_the_document_names(tmp_path: Path, full: bool) -> None:
    settings = load_settings(home=tmp_path, kafka=NO_KAFKA)
    # Invalid events are answered one by one, with status 207: that they are not refused as a whole is no failure.
    few = ["--phases", "fuzzing", "--max-examples", "12", "--include-path-regex", "/v1/events/devices|/api/"]
    chosen = ["--max-examples", "300"] if full else few
    (tmp_path / "schemathesis.toml").write_text(EXPECTED)
    with serving(settings, journal=tmp_path / "journal", generator=True) as url:
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--seed", str(SEED)),
            *("--exclude-checks", "negative_data_rejection", "--no-color", *chosen),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " generated, " in done.stdout
