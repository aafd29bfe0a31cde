"""Secrets in Google's Secret Manager, read by the service account of the machine or container on which this runs."""

from __future__ import annotations

import base64
import binascii
import os
from typing import Any

import httpx
from pydantic import SecretStr

from bytemeter.errors import first_line

_TOKEN = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105, a path
_TIMEOUT_S = 10.0
_RETRIES = 3


def read_secret_version(name: str) -> SecretStr:
    """The only line of ``projects/P/secrets/S`` (its latest version) or ``projects/P/secrets/S/versions/V``.

    Variables of Google's own tools name servers in place of the usual ones: ``GCE_METADATA_HOST`` and
    ``CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER``.

    Raises:
        ValueError: there is no service account here, or it may not read the secret, or the secret is not one line. The
            message names the secret and never its value.
    """
    api = os.environ.get("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER") or "https://secretmanager.googleapis.com/"
    version = name if "/versions/" in name else f"{name}/versions/latest"
    # Neither a proxy nor .netrc may see the token.
    with httpx.Client(
        transport=httpx.HTTPTransport(retries=_RETRIES), timeout=_TIMEOUT_S, trust_env=False, follow_redirects=False
    ) as client:
        headers = {"Authorization": f"Bearer {_token(client, name)}"}
        try:
            answer = client.get(f"{api.rstrip('/')}/v1/{version}:access", headers=headers)
        except httpx.HTTPError as error:
            raise ValueError(
                f"Secret Manager cannot be reached: {first_line(error)}; the network needs Private Google Access, or a "
                "way out"
            ) from None
    if answer.status_code != httpx.codes.OK:
        raise ValueError(f"{name} was refused: {_reason(answer)}{_remedy(answer.status_code)}")
    return _only_line(name, answer)


def _token(client: httpx.Client, name: str) -> str:
    """An access token of the service account, from the machine's metadata server."""
    host = os.environ.get("GCE_METADATA_HOST") or "metadata.google.internal"
    try:
        answer = client.get(f"http://{host}{_TOKEN}", headers={"Metadata-Flavor": "Google"})
        answer.raise_for_status()
        return str(answer.json()["access_token"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{name} cannot be read: the metadata server {host} gave no token ({first_line(error)}); run it with a "
            "service account on Google Cloud, or name a file by the setting that ends in _FILE"
        ) from None


def _reason(answer: httpx.Response) -> str:
    """Google's own message, e.g. which permission is missing; its first line."""
    try:
        message: Any = answer.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"
    return f"HTTP {answer.status_code}, {str(message).splitlines()[0] if message else 'no message'}"


def _remedy(status: int) -> str:
    if status in (httpx.codes.FORBIDDEN, httpx.codes.UNAUTHORIZED):
        return "; grant the job's service account roles/secretmanager.secretAccessor on this secret"
    return "; it needs an enabled version" if status in (httpx.codes.NOT_FOUND, httpx.codes.BAD_REQUEST) else ""


def _only_line(name: str, answer: httpx.Response) -> SecretStr:
    try:
        data = base64.b64decode(answer.json()["payload"]["data"], validate=True).decode()
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise ValueError(f"{name} is not a text in UTF-8; add a version that is one") from None
    secret = data.removesuffix("\n").removesuffix("\r")
    if not secret.strip() or "\n" in secret or "\0" in secret:
        raise ValueError(f"{name} is empty or has more than one line; it may hold the secret only")
    return SecretStr(secret)
