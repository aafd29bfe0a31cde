"""What ``bytemeter submit`` ships and asks of gcloud."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from batch_layer.jobs import hourly_usage
from bytemeter.errors import BytemeterError
from bytemeter.settings import load_settings
from bytemeter.shipping import Shipment
from bytemeter.versions import CLUSTER_IMAGES, RELEASES, SERVERLESS_RUNTIMES, spark_of_runtime
from cli import dataproc
from cli.commands import submit as command
from cli.main import main
from embedded.home import wait_until
from speed_layer.jobs import stream_usage
from tests.buckets import Buckets
from tests.gcloud import EXISTS, JOB_FAILED, NO_BUCKET, NO_CLUSTER, NO_LOGIN, NOT_ALLOWED, Gcloud

CODE = "gs://code/bytemeter"
SETTINGS = {
    "SUBMIT_CODE": CODE,
    "SUBMIT_REGION": "europe-west1",
    "KAFKA": "broker:9092",
    "HISTORY": "gs://history/usage",
    "DATABASE_URL_SECRET": "projects/p/secrets/url",
}
JOBS = (
    ["stream"],
    ["stream", "devices", "--once", "--no-keep"],
    ["hourly", "--dirty", "--over"],
    ["hourly", "--from", "2026-11-21T10", "--to", "2026-11-21T12", "--wait", "10"],
    ["monthly", "--month", "2026-11", "--dry-run"],
    ["maintain", "--quiet", "60"],
)
# Runs mains in one process, each with its arguments, and says which package they import and how they end.
RUN_MAINS = """
import bytemeter, json, runpy, sys
codes = []
for call in json.load(sys.stdin):
    sys.argv = call
    try:
        runpy.run_path(call[0], None, "__main__")
    except SystemExit as ended:
        codes.append(ended.code)
print(bytemeter.__file__, *codes, sep="\\n")
"""
# The command in a process of its own, with the folder in which files are laid out as the first argument. Where tests run in
# the background, they ignore Ctrl-C, and would hand that on.
IN_FOLDER = (
    "import pathlib, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from cli.commands import submit; from cli.main import main; "
    "folder = pathlib.Path(sys.argv.pop(1)); submit._cache = lambda: folder; sys.exit(main())"
)
PLACES = {"serverless": ["--serverless"], "cluster": ["--cluster", "c"]}


@pytest.fixture(autouse=True)
def shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder below which files are laid out; all settings are there."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(f"BYTEMETER_{name}", value)
    monkeypatch.setattr(command, "_cache", lambda: tmp_path)
    return tmp_path / "shipped"


@pytest.fixture
def gcloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gcloud:
    program = Gcloud.installed(tmp_path / "gcloud")
    monkeypatch.setenv("PATH", str(program.folder))
    return program


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    """The commands that ``--print`` shows, as a shell takes them apart: of a stream the guard, too."""
    assert main(["submit", *arguments, "--print"]) == 0
    lines = capsys.readouterr().out.splitlines()
    guarded = (re.fullmatch(r'test -z "\$\((.*)\)" && (.*)', line) for line in lines)
    texts = [text for line, found in zip(lines, guarded, strict=True) for text in (found.groups() if found else [line])]
    return [shlex.split(text) for text in texts]


def flags(words: list[str]) -> dict[str, str]:
    """The flags of a command of gcloud; those of the job come after ``--``."""
    own = words[: words.index("--")]
    return dict(word.removeprefix("--").partition("=")[::2] for word in own if word.startswith("--"))


def failure(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["submit", *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("job", JOBS, ids=" ".join)
def test_printed_commands_name_what_is_shipped_by_its_content(
    job: list[str], place: str, shipped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upload, *_, start = printed([*job, *PLACES[place]], capsys)
    (folder,) = shipped.iterdir()
    assert upload == ["gcloud", "storage", "cp", "--recursive", "--no-clobber", f"{folder}/*", f"{CODE}/"]
    given = flags(start)
    named = [start[start.index("pyspark") + 1], given["py-files"], *given["jars"].split(",")]
    files = {uri.removeprefix(f"{CODE}/"): uri for uri in named}
    assert set(files) == {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    for path in files:
        assert hashlib.sha256((folder / path).read_bytes()).hexdigest().startswith(path.partition("/")[0])
    release = RELEASES[(SERVERLESS_RUNTIMES if place == "serverless" else CLUSTER_IMAGES)["3.0"]]
    jars = {Path(uri).name for uri in given["jars"].split(",")}
    assert {"-".join(jar.split(":")[1:]) + ".jar" for jar in (release.kafka, release.delta)} < jars


def test_what_is_shipped_runs_without_a_checkout_and_knows_the_printed_arguments(
    shipped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []
    for job in JOBS:
        start = printed([*job, "--serverless"], capsys)[-1]
        main_file = next(shipped.rglob(start[start.index("pyspark") + 1].removeprefix(f"{CODE}/")))
        calls.append([str(main_file), *start[start.index("--") + 1 :], "--help"])
    archive = next(shipped.rglob("*.zip"))
    ran = subprocess.run(
        [sys.executable, "-c", RUN_MAINS],
        cwd=shipped,
        env={**os.environ, "PYTHONPATH": str(archive)},
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    package, *codes = ran.stdout.splitlines()[-1 - len(calls) :]
    assert package.startswith(f"{archive}/bytemeter/")
    assert codes == ["0"] * len(calls), ran.stderr
    assert ran.stdout.count("--database-url-secret") == len(calls)
    with ZipFile(archive) as packages:
        build = packages.read("bytemeter/build.txt").decode()
    assert all(Path(call[0]).read_text().endswith(f"# build: {build}\n") for call in calls)


@pytest.mark.parametrize(("job", "place"), [(JOBS[0], "serverless"), (JOBS[0], "cluster"), (JOBS[2], "cluster")])
def test_the_real_gcloud_takes_the_printed_commands(
    job: list[str], place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("gcloud") is None:
        pytest.skip("gcloud is not installed: whether it takes these flags is not tested")
    # Without any login: it takes the arguments apart, then says that.
    environment = {**os.environ, "CLOUDSDK_CONFIG": str(tmp_path / "no-login"), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
    for words in printed([*job, *PLACES[place], "--project", "p-12345"], capsys):
        ran = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert "You do not currently have an active account selected" in ran.stderr, ran.stderr


def test_the_real_gcloud_uploads_what_the_bucket_lacks(
    object_storage: Buckets, shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("gcloud") is None:
        pytest.skip("gcloud is not installed: nothing is uploaded by it")
    bucket = object_storage.create("code-of-submit")
    environment = {
        **os.environ,
        "CLOUDSDK_CONFIG": str(tmp_path / "no-login"),
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"http://{object_storage.host}/storage/v1/",
    }
    words = printed(["maintain", "--serverless", "--code", f"{bucket}/bytemeter"], capsys)[0]
    for _ in range(2):
        ran = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
    (folder,) = shipped.iterdir()
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    listing = subprocess.run(
        ["gcloud", "storage", "ls", f"{bucket}/**"], env=environment, capture_output=True, text=True, check=True
    )
    assert sorted(listing.stdout.split()) == [f"{bucket}/bytemeter/{path}" for path in files]
    assert ran.stderr.count("Skipping") == len(files)


def test_a_recompute_is_uploaded_started_and_waited_for(gcloud: Gcloud, capsys: pytest.CaptureFixture[str]) -> None:
    gcloud.answer("clusters describe", code=0, printed="3.0.3-debian12\n")
    assert main(["submit", "hourly", "--dirty", "--cluster", "c"]) == 0
    image, location, upload, start = gcloud.calls
    assert image[:4] == ["dataproc", "clusters", "describe", "c"]
    assert location == ["storage", "buckets", "describe", "--format=value(location)", "gs://history"]
    assert upload[:4] == ["storage", "cp", "--recursive", "--no-clobber"]
    assert start[:4] == ["dataproc", "jobs", "submit", "pyspark"]
    assert "--async" not in start
    assert start[start.index("--") + 1 :] == [
        "--dirty", "--database-url-secret", "projects/p/secrets/url", "--history", "gs://history/usage",
    ]  # fmt: skip
    assert capsys.readouterr().out == f"submitted {flags(start)['id']}\n"


def test_a_history_in_another_region_is_refused(gcloud: Gcloud, capsys: pytest.CaptureFixture[str]) -> None:
    gcloud.answer("buckets describe", code=0, printed="US-EAST1\n")
    assert failure(["hourly", "--dirty", "--serverless"], capsys) == (
        "bytemeter: the history gs://history/usage is in us-east1, the job would run in europe-west1; run it there "
        "(--region us-east1), or name a bucket in europe-west1"
    )
    assert len(gcloud.calls) == 1


@pytest.mark.parametrize("answer", [{"code": 0, "printed": "EU\n"}, {"error": NOT_ALLOWED}], ids=["several", "hidden"])
def test_a_history_in_several_regions_or_that_the_login_may_not_see_is_left_to_the_job(
    answer: dict[str, Any], gcloud: Gcloud
) -> None:
    gcloud.answer("buckets describe", **answer)
    assert main(["submit", "hourly", "--dirty", "--serverless"]) == 0


def test_a_call_that_is_repeated_waits_for_the_first_one(gcloud: Gcloud, capsys: pytest.CaptureFixture[str]) -> None:
    gcloud.answer("batches submit", error=EXISTS)
    assert main(["submit", "maintain", "--serverless"]) == 0
    start, wait = gcloud.calls[2:]
    run = flags(start)["batch"]
    assert wait[:4] == ["dataproc", "batches", "wait", run]
    assert f"bytemeter: {run} was submitted before and does not run a second time; --attempt 2" in (
        capsys.readouterr().err
    )
    gcloud.answer("batches wait", error=f"ERROR: (gcloud.dataproc.batches.wait) Batch job is FAILED. Detail: {run}")
    assert main(["submit", "maintain", "--serverless"]) == 1
    assert "gcloud dataproc batches wait failed: (gcloud" in capsys.readouterr().err.splitlines()[-1]


def test_a_run_has_one_id_within_an_hour_for_the_same_call() -> None:
    ten = dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC)
    late, next_hour = ten + dt.timedelta(minutes=59), ten + dt.timedelta(hours=1)
    hourly = submitted("--dirty", "--history", "gs://h/u")
    assert hourly.id(ten, 1) == hourly.id(late, 1) == f"bytemeter-hourly-20261121-10-{hourly.digest}"
    others = [
        hourly.id(next_hour, 1),
        hourly.id(ten, 2),
        submitted("--dirty", "--history", "gs://other").id(ten, 1),
        submitted("--dirty", "--history", "gs://h/u", cluster="d").id(ten, 1),
        submitted("--dirty", "--history", "gs://h/u", folder="/c/changed").id(ten, 1),
        submitted("--dirty", "--history", "gs://h/u", properties={"spark.executor.cores": "2"}).id(ten, 1),
    ]
    assert len({hourly.id(ten, 1), *others}) == len(others) + 1
    # What Dataproc takes: of jobs and, with at most 63 characters, of batches.
    assert all(re.fullmatch(r"[a-z][a-z0-9-]{3,62}", run) for run in others)


def submitted(
    *arguments: str, cluster: str = "c", folder: str = "/c/a", properties: dict[str, str] | None = None
) -> dataproc.Submission:
    shipment = Shipment(Path(folder), CODE, "1/hourly_usage.py", "2/bytemeter.zip", ("3/a.jar",), ())
    placement = dataproc.Placement(cluster, "3.0", None, "europe-west1", properties=properties or {})
    return dataproc.submission(hourly_usage.JOB, arguments, shipment, placement, load_settings())


@pytest.mark.parametrize("place", PLACES)
def test_a_stream_that_runs_is_not_started_beside_itself(
    place: str, gcloud: Gcloud, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["submit", "stream", "--runtime", "3.0", *PLACES[place]]
    assert main(arguments) == 0
    looked, location, upload, start = gcloud.calls
    assert looked[1] == start[1] == ("batches" if place == "serverless" else "jobs")
    assert "--async" in start
    identity = "SERVICE_ACCOUNT" if place == "serverless" else None
    assert flags(start).get("user-workload-authentication-type") == identity
    assert flags(start).get("ttl") == ("14d" if place == "serverless" else None)
    assert flags(start).get("max-failures-per-hour") == (None if place == "serverless" else "10")
    labels = dict(label.split("=") for label in flags(start)["labels"].split(","))
    (query,) = (word for word in looked if word.startswith("--filter="))
    for name in ("app", "job", "arguments"):
        assert f"labels.{name} = {labels[name]}" in query
    gcloud.answer(" list ", code=0, printed=f"{labels['run']}\tbytemeter-stream-1\n")
    assert main(arguments) == 0
    assert capsys.readouterr().err.endswith("bytemeter: bytemeter-stream-1 runs already; nothing was submitted\n")
    assert len(gcloud.calls) == len([looked, location, upload, start]) + 1


def test_a_stream_of_another_version_has_to_be_ended_first(gcloud: Gcloud, capsys: pytest.CaptureFixture[str]) -> None:
    gcloud.answer(" list ", code=0, printed="0ther\tbytemeter-stream-1\n")
    line = failure(["stream", "--serverless"], capsys)
    assert line.startswith("bytemeter: bytemeter-stream-1 counts these feeds, of another version or with other options")
    assert line.endswith("gcloud dataproc batches cancel bytemeter-stream-1 --region=europe-west1")
    assert len(gcloud.calls) == 1


def test_a_serverless_batch_gets_the_settings_that_are_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = tmp_path / "server.pem"
    authority.write_text("-----BEGIN CERTIFICATE-----")
    for name, value in {
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_USERNAME": "a,b",
        "KAFKA_SASL_PASSWORD_SECRET": "projects/p/secrets/kafka", "PARTITIONS": "12", "DRIVER_MEMORY": "4g",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"BYTEMETER_{name}", value)
    given = flags(printed(["stream", "--serverless", "--postgresql-ca", str(authority), "--ttl", "2d"], capsys)[-1])
    assert given["ttl"] == "2d"
    assert given["files"].endswith("/server.pem")
    assert given["properties"].startswith("^;^")
    properties = dict(text.partition("=")[::2] for text in given["properties"].removeprefix("^;^").split(";"))
    variables = {name.rpartition(".")[2]: value for name, value in properties.items() if "driverEnv" in name}
    assert variables == {
        "BYTEMETER_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "BYTEMETER_KAFKA_SASL_MECHANISM": "PLAIN",
        "BYTEMETER_KAFKA_SASL_USERNAME": "a,b",
        "BYTEMETER_KAFKA_SASL_PASSWORD_SECRET": "projects/p/secrets/kafka",
        "BYTEMETER_PARTITIONS": "12",
        "PGSSLROOTCERT": "server.pem",
    }
    assert properties["spark.driver.memory"] == "4g"
    assert properties["spark.dynamicAllocation.enabled"] == "false"


def test_no_password_is_in_an_argument(
    gcloud: Gcloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BYTEMETER_DATABASE_URL_SECRET")
    monkeypatch.setenv("BYTEMETER_DATABASE_URL", "postgresql://u:hush@db/usage")
    for name, value in {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "PLAIN", "SASL_USERNAME": "u"}.items():
        monkeypatch.setenv(f"BYTEMETER_KAFKA_{name}", value)
    monkeypatch.setenv("BYTEMETER_KAFKA_SASL_PASSWORD", "quiet")
    assert main(["submit", "stream", "--cluster", "c", "--runtime", "3.0"]) == 0
    told = capsys.readouterr().err
    assert "BYTEMETER_DATABASE_URL, BYTEMETER_KAFKA_SASL_PASSWORD" in told
    assert not re.search("hush|quiet", told + str(gcloud.calls))
    assert "is not set, which a serverless batch needs" in failure(["stream", "--serverless"], capsys)
    monkeypatch.delenv("BYTEMETER_DATABASE_URL")
    monkeypatch.setenv("BYTEMETER_DATABASE_URL_SECRET", "projects/p/secrets/url")
    assert "BYTEMETER_KAFKA_SASL_PASSWORD does not reach a serverless batch" in (
        failure(["stream", "--serverless"], capsys)
    )


def test_a_url_without_a_password_is_handed_on_as_the_mains_take_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BYTEMETER_DATABASE_URL_SECRET")
    monkeypatch.setenv("BYTEMETER_DATABASE_URL", "postgresql://u@db:5433/usage?sslmode=require")
    start = printed(["stream", "--cluster", "c"], capsys)[-1]
    assert start[start.index("--") + 1 :] == [
        "--kafka", "broker:9092", "--jdbc-url", "jdbc:postgresql://db:5433/usage?user=u&sslmode=require",
        "--history", "gs://history/usage",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--serverless", "--runtime", "2.2"], "the serverless runtime 2.2 is not known, expected 3.0"),
        (["--cluster", "c", "--runtime", "4.0"], "the cluster image 4.0 has Spark 4.2, which is not supported"),
        (["--serverless", "--code", "code"], "BYTEMETER_SUBMIT_CODE: 'code': String should match"),
        (["--serverless", "--postgresql-ca", "none.pem"], "BYTEMETER_SUBMIT_POSTGRESQL_CA: 'none.pem' cannot be read"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_called(
    arguments: list[str], error: str, gcloud: Gcloud, capsys: pytest.CaptureFixture[str]
) -> None:
    assert error in failure(["maintain", *arguments], capsys)
    assert not gcloud.calls


@pytest.mark.parametrize(
    ("part", "said", "error"),
    [
        ("storage cp", NO_LOGIN, "gcloud storage cp has no valid login; run `gcloud auth login`, and this once more"),
        ("storage cp", NO_BUCKET, "gs://code does not exist, or this login may not see it; make it: gcloud storage b"),
        ("clusters describe", NO_CLUSTER, "gcloud dataproc clusters describe failed: (gcloud.dataproc.clusters."),
        ("clusters describe", "", "the cluster image 4.0.1-debian12 has Spark 4.2, which is not supported"),
    ],
)
def test_what_gcloud_refuses_is_one_line(
    part: str, said: str, error: str, gcloud: Gcloud, capsys: pytest.CaptureFixture[str]
) -> None:
    if said:
        gcloud.answer(part, error=said)
    image = "3.0.3-debian12" if said else "4.0.1-debian12"
    gcloud.answer("clusters describe", code=0, printed=f"{image}\n")
    line = failure(["maintain", "--cluster", "c"], capsys)
    assert line.startswith(f"bytemeter: {error}")
    assert part in " ".join(gcloud.calls[-1])


def test_without_gcloud_the_line_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "found no gcloud on the PATH; install the Google Cloud CLI, or run this with --print" in (
        failure(["maintain", "--serverless"], capsys)
    )


def test_ctrl_c_ends_the_wait_and_says_that_the_job_goes_on(gcloud: Gcloud, tmp_path: Path) -> None:
    waiting = tmp_path / "waiting"
    (gcloud.folder / "gcloud").write_text(
        f'#!/bin/sh\ncase "$*" in *batches*) > "{waiting}"; exec /bin/sleep 60 ;; esac\n'
    )
    arguments = ["submit", "hourly", "--dirty", "--serverless"]
    with subprocess.Popen(
        [sys.executable, "-c", IN_FOLDER, str(tmp_path), *arguments],
        env={**os.environ, "PATH": str(gcloud.folder)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        wait_until(waiting.exists, what="the call of gcloud", log=tmp_path / "none")
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 1
    goes_on, ended = [line for line in told.splitlines() if line][-2:]
    assert goes_on.endswith("may go on at Dataproc: this command only waited for it")
    assert ended == "bytemeter: interrupted before it was done"


def test_a_job_that_fails_shows_its_own_words_and_one_line_of_gcloud(
    gcloud: Gcloud, capsys: pytest.CaptureFixture[str]
) -> None:
    gcloud.answer("jobs submit", error=JOB_FAILED)
    assert main(["submit", "hourly", "--dirty", "--cluster", "c", "--runtime", "3.0"]) == 1
    *shown, line = [text for text in capsys.readouterr().err.splitlines() if text]
    assert "bytemeter: PostgreSQL at db:5432 cannot be reached" in shown
    assert line.startswith("bytemeter: gcloud dataproc jobs submit failed: (gcloud.dataproc.jobs.submit.pyspark) Job [")


@pytest.mark.parametrize(
    "arguments",
    [
        ["maintain"],
        ["maintain", "--serverless", "--cluster", "c"],
        ["hourly", "--serverless"],
        ["monthly", "--serverless"],
        ["maintain", "--serverless", "--property", "spark.executor.cores"],
    ],
)
def test_wrong_usage_exits_2_before_anything_starts(arguments: list[str], gcloud: Gcloud) -> None:
    assert main(["submit", *arguments]) == 2
    assert not gcloud.calls


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["hourly", "--hour", "ten"], "'ten' is not the start of an hour"),
        (["monthly", "--month", "May"], "'May' is not a month"),
        (["stream", "phones"], "no feed 'phones'"),
    ],
)
def test_what_a_job_would_refuse_is_not_submitted(
    arguments: list[str], error: str, gcloud: Gcloud, capsys: pytest.CaptureFixture[str]
) -> None:
    assert error in failure([*arguments, "--serverless"], capsys)
    assert not gcloud.calls


@pytest.mark.parametrize("runtime", ["3.0", "3.0.3", "3.0-debian12", "3.0.3-rocky9"])
def test_a_runtime_is_known_by_its_first_two_numbers(runtime: str) -> None:
    assert spark_of_runtime(runtime, serverless=True) == "4.0"
    assert spark_of_runtime(runtime, serverless=False) == "4.1"
    with pytest.raises(BytemeterError, match="is not known"):
        spark_of_runtime(runtime.replace("3.0", "3.1"), serverless=False)


def test_a_stream_that_counts_once_is_waited_for() -> None:
    assert dataproc.lasts(stream_usage.JOB, ("--kafka", "b:9092"))
    assert not dataproc.lasts(stream_usage.JOB, ("--once",))
