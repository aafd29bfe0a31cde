"""What a server says about itself: parts of an OpenAPI document, and such a document as a page."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.responses import HTMLResponse, Response

import bytemeter

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 50rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin: 2.5rem 0 0; font-size: 1.1rem; overflow-wrap: anywhere }
p { margin: .3rem 0 }
table { border-collapse: collapse; margin-top: .6rem; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-top: 1px solid #8884 }
th { font-weight: normal; opacity: .7 }
th:first-child, td:first-child { width: 9rem }
details { margin-top: 1rem }
pre { overflow-x: auto; padding: 1rem; border: 1px solid #8884; border-radius: .5rem }
"""

PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["title", "status", "detail"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "name": {"type": "string"},
        "value": {"type": "string"},
        "expected": {"type": "string"},
    },
}


def document(title: str, paths: dict[str, Any], schemas: dict[str, Any], *, keys: bool) -> dict[str, Any]:
    """An OpenAPI document.

    Args:
        keys: whether requests need an API key.
    """
    made: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": bytemeter.__version__},
        "paths": paths,
        "components": {"schemas": schemas | {"Problem": PROBLEM}},
    }
    if keys:
        made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"key": []}]
    return made


PROBLEM_CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def problems(texts: Mapping[str, str], content: Mapping[str, Any] = PROBLEM_CONTENT) -> dict[str, Any]:
    """The problems of an operation: by status what each means, and the content of their answers."""
    return {status: {"description": text, "content": content} for status, text in texts.items()}


def plain(summary: str) -> dict[str, Any]:
    """The operation of a route about the server itself, which needs no key."""
    return {
        "summary": summary,
        "security": [],
        "responses": {"200": {"description": "Yes."}, "503": {"description": "No."}},
    }


def page(document: Mapping[str, Any]) -> Response:
    """The document as a page without scripts, so that it can be read where nothing else can be reached."""
    title = html.escape(document["info"]["title"])
    lines = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>",
        '<p>As an <a href="/openapi.json">OpenAPI document</a>.</p>',
    ]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            lines += [f"<h2><code>{method.upper()} {html.escape(path)}</code></h2>", *_operation(operation)]
    for name, schema in document["components"]["schemas"].items():
        shown = html.escape(json.dumps(schema, indent=2))
        lines.append(f"<details><summary><code>{html.escape(name)}</code></summary><pre>{shown}</pre></details>")
    return HTMLResponse("\n".join(lines))


def _operation(operation: Mapping[str, Any]) -> Iterator[str]:
    """What a route does, with its parameters and answers as tables."""
    yield f"<p>{html.escape(operation['summary'])}</p>"
    parameters = [one for one in operation.get("parameters", ()) if "name" in one]
    for named, rows in (
        ("parameter", [(one["name"], _told(one)) for one in parameters]),
        ("status", [(status, answer["description"]) for status, answer in operation["responses"].items()]),
    ):
        cells = [f"<tr><td><code>{html.escape(key)}</code><td>{html.escape(told)}" for key, told in rows]
        if cells:
            yield f"<table><tr><th>{named}<th>{''.join(cells)}</table>"


def _told(parameter: Mapping[str, Any]) -> str:
    """What a parameter means, else the values that it may have."""
    return str(parameter.get("description") or ", ".join(map(str, parameter.get("schema", {}).get("enum", ()))))
