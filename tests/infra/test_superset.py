"""Superset in a container, and the logins that the cluster's master makes for it: on a real PostgreSQL."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
from sqlalchemy.engine import URL, make_url

from bytemeter.settings import Settings
from embedded.home import free_port, wait_until
from embedded.superset import Environment
from serving.dashboards import SLUGS
from tests.infra.configuration import INFRA, modules

ROOT = INFRA.parents[1]
IMAGE = ROOT / "infra" / "superset"
PREPARE: dict[str, Any] = runpy.run_path(str(INFRA / "modules/dataproc/prepare.py"))
LOGINS = {"dashboards": "prepared_dashboards", "superset": "prepared_superset"}


@pytest.fixture
def urls(place: Settings) -> Iterator[dict[str, str]]:
    """The URLs that prepare.py gets: of the owner, and of logins that are gone after the test."""
    owner = make_url(place.require_database_url())
    made = {
        name: shown(owner.set(username=login, password=f"first of {name}", database=database))
        for (name, login), database in zip(LOGINS.items(), (owner.database, "prepared_superset"), strict=True)
    }
    yield {"owner": shown(owner), **made}
    connection = psycopg2.connect(shown(owner))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("drop database if exists prepared_superset with (force)")
        for login in LOGINS.values():
            cursor.execute(f"drop owned by {login}; drop role {login}")
    connection.close()


def shown(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def prepare(urls: dict[str, str]) -> None:
    """What prepare.py does once the migrations are applied."""
    with psycopg2.connect(urls["owner"]) as owner:
        PREPARE["grant"](owner, PREPARE["ROLES"]["dashboards"], PREPARE["make_login"](owner, urls["dashboards"]))
        user = PREPARE["make_login"](owner, urls["superset"])
    owner.close()
    PREPARE["own_database"](urls["owner"], user, "prepared_superset")


def asked(url: str, statement: str) -> object:
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()
    finally:
        connection.close()


def test_logins_read_or_own_and_get_another_password_by_another_run(urls: dict[str, str]) -> None:
    prepare(urls)
    assert asked(urls["dashboards"], "select count(*) from user_metadata") == (20,)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        asked(urls["dashboards"], "delete from user_metadata returning id")
    assert asked(urls["superset"], "create table t as select 1; select count(*) from t") == (1,)
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        asked(shown(make_url(urls["dashboards"]).set(database="prepared_superset")), "select 1")
    changed = {name: url.replace("first", "second") for name, url in urls.items()}
    prepare(changed)
    assert asked(changed["superset"], "select 1") == (1,)


def test_the_image_has_all_that_its_start_reads() -> None:
    image, start = ((IMAGE / name).read_text() for name in ("Dockerfile", "start.sh"))
    copied = [words.split()[:-1] for words in re.findall(r"^COPY (.*)$", image, re.MULTILINE)]
    assert all((ROOT / path).exists() for paths in copied for path in paths)
    inside = {Path(path).name for paths in copied for path in paths}
    inside |= {path.name for path in (ROOT / "serving/superset").iterdir()}
    assert set(re.findall(r"\$code/([\w.]+)", start)) <= inside
    needed = set(
        re.findall(r"(?:\$secrets/|\] *\) */ \")([\w-]+)/value", start + (IMAGE / "container_config.py").read_text())
    )
    text = (INFRA / "modules/superset/variables.tf").read_text()
    assert needed == set(re.findall(r'"((?:database-url|superset)-\w+)"', text))
    subprocess.run(["bash", "-n", IMAGE / "start.sh"], check=True)
    (port,) = re.findall(r"EXPOSE (\d+)", image)
    assert f"container_port = {port}" in (INFRA / "modules/superset/main.tf").read_text()
    assert "modules/superset" in modules()


@pytest.fixture
def full(pytestconfig: pytest.Config) -> None:
    """Skips what takes long before a server is asked for."""
    if not pytestconfig.getoption("--full"):
        pytest.skip("takes a minute: pytest --full")


def test_the_container_serves_the_dashboards(full: None, urls: dict[str, str], tmp_path: Path) -> None:
    prepare(urls)
    code, port = tmp_path / "code", free_port()
    shutil.copytree(ROOT / "serving/superset", code)
    for path in IMAGE.iterdir():
        shutil.copy(path, code)
    secrets = {"superset-key": "k" * 42, "superset-password": "of the secret"}
    secrets |= {f"database-url-{name}": url for name, url in urls.items()}
    for name, value in secrets.items():
        (tmp_path / "secrets" / name).mkdir(parents=True)
        (tmp_path / "secrets" / name / "value").write_text(value)
    environment = Environment(print)
    environment.install()
    variables = {
        "PATH": f"{environment.path}/bin:{os.environ['PATH']}",
        "BYTEMETER_SUPERSET_SECRETS": str(tmp_path / "secrets"),
        "BYTEMETER_SUPERSET_HOME": str(tmp_path / "home"),
        "PORT": str(port),
    }
    log = tmp_path / "log"
    with (
        log.open("w") as output,
        subprocess.Popen([code / "start.sh"], env={**os.environ, **variables}, stdout=output, stderr=output) as process,
    ):
        try:
            wait_until(lambda: answers(port), what="Superset", log=log, timeout_s=240)
            assert served(port) == set(SLUGS)
        finally:
            process.terminate()
    assert not any(secret in log.read_text() for secret in ("first of", "of the secret", "k" * 42))


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=10).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def served(port: int) -> set[str]:
    """The dashboards that the administrator sees."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        login = {"username": "admin", "password": "of the secret", "provider": "db"}
        token = client.post("/api/v1/security/login", json=login).json()["access_token"]
        answer = client.get("/api/v1/dashboard/", headers={"Authorization": f"Bearer {token}"})
        return {dashboard["slug"] for dashboard in answer.json()["result"]}
