"""What anyone would write first: a route that reads JSON and produces it, without ids, judging, results or limits."""

from __future__ import annotations

import asyncio
import json
import os

from confluent_kafka import Producer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

_PRODUCER = Producer(
    {
        "bootstrap.servers": os.environ.get("PLAIN_KAFKA", ""),
        "enable.idempotence": True,
        "linger.ms": 1,
        "compression.type": "lz4",
    }
)


async def _events(request: Request) -> JSONResponse:
    body = await request.json()
    events = body if isinstance(body, list) else [body]
    for event in events:
        _PRODUCER.produce(os.environ["PLAIN_TOPIC"], json.dumps(event).encode(), event["id"])
    await asyncio.to_thread(_PRODUCER.flush)
    return JSONResponse({"accepted": len(events)})


app = Starlette(routes=[Route("/v1/events/devices", _events, methods=["POST"])])
