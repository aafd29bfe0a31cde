"""What Terraform makes, held against the provider's schema, against itself and against the product."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import yaml

from bytemeter.jars import spark_coordinates
from bytemeter.settings import PREFIX, Settings
from bytemeter.topics import topics
from bytemeter.versions import CLUSTER_IMAGES, SERVERLESS_RUNTIMES, minor
from tests.infra.configuration import INFRA, Body, Module, attributes, modules, unquoted
from tests.infra.provider import META, faults, provider_schema

MODULES = sorted(modules())
ENVIRONMENTS = [name for name in MODULES if name.startswith("environments/")]
each_module = pytest.mark.parametrize("name", MODULES)

SCHEMA: Body = {
    "name": ["string", "required"],
    "size": ["number", "optional"],
    "ports": [["list", "string"], "optional"],
    "id": ["string", "computed"],
    "disk": {"nesting": "list", "min": 1, "max": 1, "block": {"type": ["string", "required"]}},
}
DISK = [{"type": '"pd"', "__is_block__": True}]


def resources() -> dict[str, Body]:
    """All resources of all modules: ``{"modules/database: google_sql_user.owner": {…}}``."""
    return {f"{name}: {label}": body for name in MODULES for label, body in modules()[name].blocks("resource").items()}


def of_type(kind: str) -> dict[str, Body]:
    found = {where: body for where, body in resources().items() if where.split(": ")[1].startswith(f"{kind}.")}
    assert found, f"no resource {kind}"
    return found


def called(module: Module, call: Body) -> Module:
    folder = (module.folder / unquoted(call["source"])).resolve()
    return modules()[folder.relative_to(INFRA.resolve()).as_posix()]


@pytest.mark.skipif(
    not shutil.which("terraform"), reason="terraform is not installed (1.11 or later): its format is not checked"
)
def test_files_are_formatted() -> None:
    checked = subprocess.run(
        ["terraform", "fmt", "-check", "-recursive", INFRA], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout) == (0, "")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"name": '"a"', "disk": DISK, "sise": 1}, "it: has no attribute sise"),
        ({"name": '"a"', "disk": DISK, "id": '"b"'}, "it: id is computed by the provider"),
        ({"name": '"a"', "disk": DISK, "size": '"large"'}, "it: size is a number"),
        ({"name": '"a"', "disk": DISK, "ports": '"80"'}, "it: ports is a ['list', 'string']"),
        ({"name": '"a"', "disk": DISK * 2}, "it: 2 blocks disk, at most 1"),
        ({"name": '"a"', "disk": [{"kind": '"pd"', "__is_block__": True}]}, "it.disk: has no attribute kind"),
        ({"name": '"a"', "disk": {"type": '"pd"'}}, "it: disk is a block, not an attribute"),
        ({"name": '"a"'}, "it: lacks the block disk"),
        ({"disk": DISK}, "it: lacks name"),
    ],
)
def test_a_resource_that_the_provider_would_refuse_is_found(body: Body, fault: str) -> None:
    assert any(line.startswith(fault) for line in faults(body, SCHEMA, "it"))
    assert not list(faults({"name": "${var.name}", "size": 1, "ports": ["${var.p}"], "disk": DISK}, SCHEMA, "it"))


def test_resources_have_what_the_provider_takes_and_nothing_else() -> None:
    schemas = provider_schema()["resources"]
    for where, body in resources().items():
        kind = where.split(": ")[1].split(".")[0]
        assert kind in schemas, where
        own = {name: value for name, value in body.items() if name not in META}
        assert not list(faults(own, schemas[kind], where))


@each_module
def test_references_lead_to_something(name: str) -> None:
    module = modules()[name]
    calls = module.blocks("module")
    for kind, target, attribute in module.references:
        if kind == "var":
            assert target in module.blocks("variable"), target
        elif kind == "local":
            assert target in module.local_names, target
        elif kind == "module":
            assert target in calls, target
            assert not attribute or attribute in called(module, calls[target]).blocks("output"), (target, attribute)
        else:
            assert f"{kind}.{target}" in module.blocks("resource"), (kind, target)


def test_references_to_resources_name_what_the_provider_has() -> None:
    schemas = provider_schema()["resources"]
    for name in MODULES:
        for kind, target, attribute in modules()[name].references:
            if kind.startswith("google_") and attribute:
                assert attribute in schemas[kind], (name, kind, target, attribute)


@each_module
def test_calls_pass_the_variables_that_a_module_declares(name: str) -> None:
    module = modules()[name]
    for label, call in module.blocks("module").items():
        declared = called(module, call).blocks("variable")
        required = {variable for variable, body in declared.items() if "default" not in body}
        passed = set(attributes(call)) - {"source", *META}
        assert required <= passed <= set(declared), (label, required - passed, passed - set(declared))


@each_module
def test_variables_are_typed_described_validated_and_used(name: str) -> None:
    module = modules()[name]
    used = {target for kind, target, _ in module.references if kind == "var"}
    for variable, body in module.blocks("variable").items():
        assert {"type", "description", "validation"} <= set(body), variable
        assert variable in used
    for output, body in module.blocks("output").items():
        assert "description" in body, output


@each_module
def test_no_version_is_open(name: str) -> None:
    (terraform,) = (block for file in modules()[name].parsed for block in file.get("terraform", []))
    assert unquoted(terraform["required_version"]) == "~> 1.11"
    (providers,) = terraform["required_providers"]
    assert {key: unquoted(value["version"]) for key, value in attributes(providers).items()} == {"google": "~> 7.45.0"}


def test_nothing_is_open_to_the_internet() -> None:
    for where, rule in of_type("google_compute_firewall").items():
        assert {"source_ranges", "source_service_accounts"} & set(rule), where
        assert {"target_service_accounts", "destination_ranges"} & set(rule), where
        assert not re.search(r"0\.0\.0\.0/0|::/0", str(rule)), where
    for where, machine in of_type("google_compute_instance").items():
        assert "access_config" not in machine["network_interface"][0], where
    for where, cluster in of_type("google_dataproc_cluster").items():
        assert cluster["cluster_config"][0]["gce_cluster_config"][0]["internal_ip_only"] is True, where
    for where, bucket in of_type("google_storage_bucket").items():
        assert bucket["uniform_bucket_level_access"] is True, where
        assert unquoted(bucket["public_access_prevention"]) == "enforced", where
    for where, body in resources().items():
        assert not re.search("allUsers|allAuthenticatedUsers", str(body)), where


def test_postgresql_is_private_encrypted_and_recoverable() -> None:
    for where, instance in of_type("google_sql_database_instance").items():
        (settings,) = instance["settings"]
        (address,), (backup,) = settings["ip_configuration"], settings["backup_configuration"]
        assert (address["ipv4_enabled"], unquoted(address["ssl_mode"])) == (False, "ENCRYPTED_ONLY"), where
        assert "authorized_networks" not in address, where
        assert backup["enabled"] is backup["point_in_time_recovery_enabled"] is True, where


def test_no_password_gets_into_the_state() -> None:
    in_state = {"password", "root_password", "secret_data", "private_key"}
    for where, body in resources().items():
        assert not in_state & set(body), where
        assert not where.split(": ")[1].startswith("google_service_account_key"), where
    for name in MODULES:
        for variable, body in modules()[name].blocks("variable").items():
            if variable == "database_passwords":
                assert body["ephemeral"] is body["sensitive"] is True, name


def test_no_role_of_the_project_reaches_data() -> None:
    allowed = {
        "roles/workflows.invoker",
        "roles/logging.logWriter",
        "roles/monitoring.metricWriter",
        "roles/managedkafka.client",
    }
    for where, grant in of_type("google_project_iam_member").items():
        role = unquoted(grant["role"])
        assert role in allowed or role.startswith("${google_project_iam_custom_role."), where


def test_topics_and_jars_are_those_of_the_product() -> None:
    platform = (INFRA / "modules/platform/main.tf").read_text()
    (named,) = re.findall(r"^  topics += (\[[^]]*\])$", platform, re.MULTILINE)
    assert set(yaml.safe_load(named)) == set(topics())
    dataproc = modules()["modules/dataproc"].blocks("variable")
    image = minor(unquoted(dataproc["image_version"]["default"]))
    for variable, spark in (("jars", CLUSTER_IMAGES[image]), ("batch_jars", SERVERLESS_RUNTIMES["3.0"])):
        assert tuple(map(unquoted, dataproc[variable]["default"])) == spark_coordinates(spark)


def test_settings_of_the_cluster_and_for_submit_are_settings_of_the_product() -> None:
    cluster, submit = (
        set(re.findall(rf"\b{PREFIX}[A-Z_]+", (INFRA / "modules" / file).read_text()))
        for file in ("dataproc/main.tf", "platform/outputs.tf")
    )
    assert {f"{PREFIX}KAFKA", f"{PREFIX}HISTORY", f"{PREFIX}DATABASE_URL_FILE"} <= cluster
    assert {f"{PREFIX}SUBMIT_CODE", f"{PREFIX}DATABASE_URL_SECRET"} <= submit
    assert {name.removeprefix(PREFIX).lower() for name in cluster | submit} <= set(Settings.model_fields)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_example_has_a_value_for_each_variable_that_must_be_given(name: str) -> None:
    required = {variable for variable, body in modules()[name].blocks("variable").items() if "default" not in body}
    example = (INFRA / name / "terraform.tfvars.example").read_text()
    given = set(re.findall(r"^(\w+) +=", example, re.MULTILINE))
    # Passwords come from the environment, and stay in no file.
    assert required - {"database_passwords"} <= given <= set(modules()[name].blocks("variable"))


def test_scripts_of_machines_are_sound_bash() -> None:
    scripts = sorted(INFRA.rglob("*.sh"))
    assert scripts
    for script in scripts:
        subprocess.run(["bash", "-n", script], check=True)
