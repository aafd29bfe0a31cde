"""Schedules outside of ``bytemeter schedule``: what cron, and Cloud Scheduler with its workflow, call."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from batch_layer.jobs import hourly_usage, maintain, monthly_usage
from batch_layer.schedule.declared import SCHEDULED
from bytemeter.job import Job, submitted_command
from cli.main import cli
from tests.infra.configuration import INFRA, modules, unquoted

PAGE = Path("docs/scheduling.md").read_text()
MAINS = {"hourly_usage.py": hourly_usage.JOB, "monthly_usage.py": monthly_usage.JOB, "maintain.py": maintain.JOB}
VALUES = {"${var.history}": "gs://b/usage", "${var.kafka}": "broker:9092"}
PLACE = {"project": "p", "region": "r", "cluster": "c", "code": "gs://code"}
BATCH = {
    "image": "r-docker.pkg.dev/p/bytemeter/job:1",
    "service_account": "spark@p",
    "subnetwork": "batches",
    "staging_bucket": "staging",
    "file": "gs://code/config/postgresql-ca.pem",
    "properties": {"spark.dataproc.driverEnv.BYTEMETER_KAFKA": "broker:9092"},
}


def parsed(command: click.Command, words: list[str]) -> tuple[click.Command, dict[str, Any]]:
    """The command that these words name, and the values of its parameters; refuses what it would refuse."""
    while isinstance(command, click.Group):
        command, words = command.commands[words[0]], words[1:]
    return command, command.make_context(command.name, list(words)).params


def require_all_jobs(seen: dict[str, dict[str, Any]]) -> None:
    """All that ``bytemeter schedule`` runs; of hours, the dirty ones that are over."""
    declared = {named(scheduled.job, {"dirty": "--dirty" in scheduled.command}) for scheduled in SCHEDULED}
    assert set(seen) == declared - {"hourly"}
    assert seen["hourly --dirty"]["over"]
    assert re.fullmatch(r"\d{4}-\d{2}", seen["monthly"]["month"])


def named(job: Job | click.Command, values: dict[str, Any]) -> str:
    """The job, and whether it finds out by itself what is dirty."""
    return f"{job.name} --dirty" if values.get("dirty") else str(job.name)


def test_cron_calls_each_job_as_its_command_takes_it(tmp_path: Path) -> None:
    """Each line by a shell, as cron hands it on, with a command that only says how it was called."""
    lines = re.findall(r"^([\d*/]+ [\d*/]+ [\d*]+ \S+ \S+) +(\. /etc.*)$", PAGE, re.MULTILINE)
    program = tmp_path / ".venv/bin/bytemeter"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    (tmp_path / "env").touch()
    seen = {}
    for _, line in lines:
        # A percent sign without a backslash is the end of the line to cron.
        assert not re.search(r"(?<!\\)%", line)
        called = line.replace("\\%", "%").replace("/etc/bytemeter.env", f"{tmp_path}/env")
        called = called.replace("/opt/bytemeter", str(tmp_path))
        said = subprocess.run(["sh", "-c", called], capture_output=True, text=True, check=True).stdout.splitlines()
        command, values = parsed(cli, said)
        seen[named(command, values)] = values
    require_all_jobs(seen)


def test_cloud_schedules_name_mains_and_options_that_they_take() -> None:
    (local,) = (block for file in modules()["modules/schedules"].parsed for block in file.get("locals", []))
    seen = {}
    for job in local["jobs"].values():
        if not isinstance(job, dict):
            continue
        main = MAINS[unquoted(job["argument"]["main"])]
        options = [VALUES.get(option, unquoted(option)) for option in job["argument"]["options"]]
        # What the workflow adds.
        options += ["2026-11"] if options[-1] == "--month" else []
        _, values = parsed(submitted_command(main), options)
        require_endpoints(main, values)
        seen[named(main, values)] = values
    require_all_jobs(seen)


def require_endpoints(job: Job, values: dict[str, Any]) -> None:
    """The database comes from a file or a secret of the place."""
    assert all(values[name] for name in job.needs if name != "database_url")


def rendered(batch: object) -> dict[str, Any]:
    """The workflow's steps by name, as Terraform itself renders them."""
    if not shutil.which("terraform"):
        pytest.skip("terraform is not installed (1.11 or later): the workflow is not rendered")
    workflow = INFRA / "modules/schedules/recompute.yaml"
    values = json.dumps({**PLACE, "batch": json.dumps(batch)})
    asked = f"jsonencode(templatefile({json.dumps(str(workflow))}, jsondecode({json.dumps(values)})))"
    said = subprocess.run(
        ["terraform", "console"], cwd=INFRA / "modules", input=asked, capture_output=True, text=True, check=True
    ).stdout
    steps = yaml.safe_load(json.loads(json.loads(said)))["main"]["steps"]
    return {name: step for entry in steps for name, step in entry.items()}


def test_the_workflow_starts_a_job_of_the_cluster_and_fails_if_it_fails() -> None:
    steps = rendered(None)
    submit = steps["submit"]["args"]
    assert submit["url"].endswith("/projects/p/regions/r/jobs:submit")
    assert submit["body"]["job"]["placement"] == {"clusterName": "c"}
    job = submit["body"]["job"]["pysparkJob"]
    assert job["mainPythonFileUri"] == '${"gs://code/" + argument.main}'
    assert job["pythonFileUris"] == ["gs://code/bytemeter.zip"]
    done, failed = steps["judge"]["switch"]
    assert '"DONE"' in done["condition"]
    assert "raise" in failed
    assert steps["judge"]["next"] == "wait"


def test_the_workflow_starts_a_serverless_batch_in_its_place() -> None:
    steps = rendered(BATCH)
    assert steps["place"]["assign"][0] == {"batch": BATCH}
    submit = steps["submit"]["args"]
    assert submit["url"].endswith("/projects/p/locations/r/batches")
    assert submit["query"] == {"batchId": "${id}"}
    body = submit["body"]
    assert body["pysparkBatch"]["mainPythonFileUri"] == '${"gs://code/" + argument.main}'
    assert body["pysparkBatch"]["args"] == "${options}"
    named = set(re.findall(r"\$\{batch\.(\w+)\}", json.dumps(body)))
    assert named == set(BATCH)
    # The default of runtime 3.0 is the login of whoever calls, which is the workflow's.
    identity = body["environmentConfig"]["executionConfig"]["authenticationConfig"]
    assert identity == {"userWorkloadAuthenticationType": "SERVICE_ACCOUNT"}
    assert "raise" in steps["judge"]["switch"][1]
