"""What a server says about itself: parts of an OpenAPI document, and such a document as a page."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import HTMLResponse, Response

import bytemeter

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
    lines = [f"<title>{title}</title><h1>{title}</h1>", '<p>As an <a href="/openapi.json">OpenAPI document</a>.</p>']
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            lines.append(f"<h2><code>{method.upper()} {html.escape(path)}</code></h2>")
            lines.append(f"<p>{html.escape(operation['summary'])}</p>")
    for name, schema in document["components"]["schemas"].items():
        lines.append(f"<h2>{html.escape(name)}</h2><pre>{html.escape(json.dumps(schema, indent=2))}</pre>")
    return HTMLResponse("<!doctype html><meta charset=utf-8>" + "\n".join(lines))
