"""What schemathesis makes of the OpenAPI document: each answer is one that the document names, and none is an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bytemeter.settings import Settings
from tests.apis import serving
from tests.seeds import SEED
from tests.serving.api.conftest import Figures


def test_requests_of_all_kinds_get_the_answers_that_the_document_names(
    stored: Settings, figures: Figures, tmp_path: Path, full: bool
) -> None:
    many = stored.model_copy(update={"api_requests_per_s": 10_000.0})
    with serving(many) as url:
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--seed", str(SEED)),
            # A stream of events has no end.
            *("--exclude-path", "/v1/threshold-events/stream", "--request-timeout", "20"),
            *("--phases", "examples,fuzzing", "--max-examples", "200" if full else "15", "--no-color"),
            # A parameter of another form than the schema's may still mean something, such as an instant without seconds.
            *("--exclude-checks", "negative_data_rejection,positive_data_acceptance"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " generated, " in done.stdout
