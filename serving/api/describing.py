"""Words of OpenAPI that the documents of all routes are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bytemeter.web.documents import PROBLEM_CONTENT, problems

AUTHORIZATION = {
    "401": "The API key is missing or unknown.",
    "403": "The API key may not ask this.",
    "429": "Too many requests; repeat this one after Retry-After seconds.",
    "503": "PostgreSQL cannot answer now; repeat the request after Retry-After seconds.",
}
WRONG = {"400": "A parameter means nothing: name, value and what is expected."} | AUTHORIZATION
TEXT = {"type": "string"}
ID = {"type": "string", "minLength": 1, "maxLength": 1_024}


def operation(
    summary: str,
    parameters: list[dict[str, Any]],
    content: Mapping[str, Any],
    texts: Mapping[str, str],
    problem: Mapping[str, Any] = PROBLEM_CONTENT,
) -> dict[str, Any]:
    """An operation with its answer and its problems.

    Args:
        texts: by status what each problem means.
        problem: the content of the answers to them.
    """
    answer = {"description": "The answer, as of one moment.", "content": content}
    return {"summary": summary, "parameters": parameters, "responses": {"200": answer, **problems(texts, problem)}}


def json_of(schema: str) -> dict[str, Any]:
    """The content of an answer in JSON."""
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def query(name: str, schema: dict[str, Any], description: str = "", *, required: bool = False) -> dict[str, Any]:
    """A parameter of the query."""
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


def object_of(**members: dict[str, Any]) -> dict[str, Any]:
    """An object with all of these members."""
    return {"type": "object", "required": list(members), "properties": members}


def or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, or null."""
    return {"anyOf": [schema, {"type": "null"}]}
