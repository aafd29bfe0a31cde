"""What Cloud Scheduler and its workflow call: mains that exist, with options that they have."""

from __future__ import annotations

import json
import re
from pathlib import Path

from batch_layer.jobs import hourly_usage, monthly_usage
from bytemeter.job import submitted_command

MODULE = Path("infra/terraform/modules/schedules")
MAINS = {"hourly_usage.py": hourly_usage, "monthly_usage.py": monthly_usage}
VALUES = {"var.history": "gs://bucket/usage", "var.kafka": "broker:9092"}


def test_the_schedules_call_mains_with_options_that_they_have() -> None:
    calls = re.findall(r'argument = \{ main = "([^"]+)", options = \[([^]]*)\] \}', (MODULE / "main.tf").read_text())
    assert {main for main, _ in calls} == set(MAINS)
    for main, texts in calls:
        options = [VALUES.get(text) or json.loads(text) for text in texts.split(", ")]
        # The workflow adds last month's name.
        options += ["2026-10"] if options[-1] == "--month" else []
        submitted_command(MAINS[main].JOB).make_context(main, options)


def test_the_workflow_hands_on_the_main_its_options_and_the_packages() -> None:
    workflow = (MODULE / "recompute.yaml").read_text()
    assert 'mainPythonFileUri: $${"${code}/" + argument.main}' in workflow
    assert "args: $${options}" in workflow
    assert 'pythonFileUris: ["${code}/bytemeter.zip"]' in workflow
