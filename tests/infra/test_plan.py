"""What Terraform itself says of both environments, without the provider."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.infra import stand_in

ENVIRONMENTS = ("environments/small", "environments/production")
pytestmark = pytest.mark.skipif(
    not shutil.which("terraform"), reason="terraform is not installed (1.11 or later): nothing is planned"
)


@pytest.fixture(scope="module")
def without_provider(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("terraform") / "infra"
    stand_in.write(folder)
    return folder


def plan(folder: Path, **given: object) -> subprocess.CompletedProcess[str]:
    """What ``terraform plan`` says of an environment in which no resource needs the provider."""
    passwords = json.dumps(dict.fromkeys(("owner", "jobs", "dashboards", "superset"), "p" * 32))
    values = {"project_id": "usage-trial-1", "database_passwords": passwords, **given}
    environment = {
        **os.environ,
        "CHECKPOINT_DISABLE": "1",
        **{f"TF_VAR_{name}": str(value) for name, value in values.items()},
    }
    for command in (["init"], ["plan", "-input=false"]):
        ran = subprocess.run(
            ["terraform", *command, "-no-color"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    return ran


@pytest.mark.parametrize("jobs_enabled", ["false", "true"])
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_environment_is_planned(without_provider: Path, name: str, jobs_enabled: str) -> None:
    sha512 = {"kafka_archive_sha512": "0" * 128} if name == "environments/small" else {}
    planned = plan(without_provider / name, jobs_enabled=jobs_enabled, mails='["a@example.com"]', **sha512)
    assert planned.returncode == 0, planned.stderr
    assert re.search(r"Plan: \d+ to add, 0 to change, 0 to destroy", planned.stdout)
    assert ("google_dataproc_job__stream[0]" in planned.stdout) is (jobs_enabled == "true")
    assert "google_cloud_run_v2_service" not in planned.stdout


def test_images_bring_superset_and_serverless_recomputes(without_provider: Path) -> None:
    planned = plan(
        without_provider / "environments/production",
        images='{"job":"1","superset":"2"}',
        dashboard_users='["group:analysts@example.com"]',
    )
    assert planned.returncode == 0, planned.stderr
    for part in ("google_cloud_run_v2_service__this", 'user["group:analysts@example.com"]', "firewall__serverless[0]"):
        assert part in planned.stdout


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"zone": "us-east1-b"}, "zone is a zone of the region"),
        (
            {"database_passwords": '{"owner":"a","jobs":"b","dashboards":"c","superset":"d"}'},
            "A password has 24 or more letters",
        ),
        ({"billing_account": "12"}, "billing_account looks like 012345-6789AB-CDEF01"),
        ({"dashboard_users": '["ann@example.com"]'}, "Each of dashboard_users looks like user:ann@example.com"),
        ({"images": '{"job":"a b"}'}, "A tag has letters, digits, dots"),
        ({"project_id": "Usage"}, "A project id has 6 to 30 lowercase letters"),
    ],
)
def test_a_value_that_cannot_be_is_refused(without_provider: Path, given: dict[str, str], error: str) -> None:
    refused = plan(without_provider / "environments/production", **given)
    assert refused.returncode == 1
    assert error in " ".join(refused.stderr.split())
