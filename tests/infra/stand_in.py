"""The configuration with every resource as a ``terraform_data``, which needs no provider: Terraform itself then evaluates
all variables, validations, expressions and calls. What the provider computes is unknown until apply, as with it."""

from __future__ import annotations

import json
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from tests.infra.configuration import Body, Module, attributes, is_block, modules, unquoted

_META = ("count", "for_each", "depends_on")
_RESOURCE = re.compile(r'(?<![\w."-])google_(\w+)\.(\w+)((?:\[[^\]]*\])?)(?:\.(\w+))?')
# Attributes of resources that expressions reach by the name of a loop.
_IN_LOOPS = {"secret.secret_id": "secret.output.secret_id", "account.email": "account.id"}


def write(folder: Path) -> None:
    """Write all modules below a folder, as JSON, in the places that they have below infra/terraform."""
    for name, module in modules().items():
        target = folder / name
        target.mkdir(parents=True)
        for path in module.folder.iterdir():
            if path.is_file() and path.suffix != ".tf":
                shutil.copy(path, target)
        (target / "main.tf.json").write_text(json.dumps(_stand_in(module), indent=1))


def _stand_in(module: Module) -> Body:
    resources = {label.replace(".", "__"): _resource(body) for label, body in module.blocks("resource").items()}
    kinds = {
        "variable": {label: _variable(body) for label, body in module.blocks("variable").items()},
        "output": {label: _output(body) for label, body in module.blocks("output").items()},
        "module": {label: _plain(body) for label, body in module.blocks("module").items()},
        "locals": {
            name: _plain(value)
            for file in module.parsed
            for block in file.get("locals", [])
            for name, value in attributes(block).items()
        },
        "resource": {"terraform_data": resources} if resources else {},
    }
    return {kind: content for kind, content in kinds.items() if content}


def _resource(body: Body) -> Body:
    """Write-only attributes are left out: nothing but a provider's resource may hold what is ephemeral."""
    own = {
        name: value for name, value in body.items() if name not in (*_META, "lifecycle") and not name.endswith("_wo")
    }
    meta = {name: _plain(body[name]) for name in _META if name in body and name != "depends_on"}
    return {**meta, **_order(body), "input": _plain(_without_dynamic(own))}


def _without_dynamic(body: Body) -> Body:
    """Of a dynamic block only what it loops over is left."""
    kept = {
        name: [_without_dynamic(item) for item in value] if is_block(value) and name != "dynamic" else value
        for name, value in body.items()
    }
    for dynamic in kept.pop("dynamic", []):
        kept |= {
            f"dynamic_{unquoted(label)}": generated["for_each"] for label, generated in attributes(dynamic).items()
        }
    return kept


def _order(body: Body) -> Body:
    return {"depends_on": [_address(found) for found in body["depends_on"]]} if "depends_on" in body else {}


def _address(expression: str) -> str:
    return re.sub(
        r"google_(\w+)\.(\w+)", r"terraform_data.google_\1__\2", expression.removeprefix("${").removesuffix("}")
    )


def _output(body: Body) -> Body:
    return {"value": _plain(body["value"]), **_order(body)}


def _variable(body: Body) -> Body:
    kind = body["type"].removeprefix("${").removesuffix("}")
    return {**{name: _plain(value) for name, value in attributes(body).items()}, "type": kind}


def _plain(value: Any) -> Any:
    """A value in Terraform's JSON syntax."""
    if isinstance(value, dict):
        return {unquoted(name): _plain(nested) for name, nested in attributes(value).items()}
    if isinstance(value, list):
        return [_plain(nested) for nested in value]
    if not isinstance(value, str):
        return value
    text = _RESOURCE.sub(_reference, unquoted(value) if value.startswith('"') else value)
    for loop, stand_in in _IN_LOOPS.items():
        text = text.replace(loop, stand_in)
    return text.replace(".id[0].cert", ".id")


def _reference(found: re.Match[str]) -> str:
    kind, name, index, attribute = found.groups()
    resource = f"terraform_data.google_{kind}__{name}{index}"
    if attribute is None:
        return resource
    return f"{resource}.output.{attribute}" if attribute in _given(f"google_{kind}.{name}") else f"{resource}.id"


@cache
def _given(label: str) -> frozenset[str]:
    """The attributes that the configuration gives a resource; all others the provider computes."""
    return frozenset(name for module in modules().values() for name in module.blocks("resource").get(label, {}))
