"""The command ``collector``."""

from __future__ import annotations

from pathlib import Path

import click

from bytemeter.ending import until_signal
from bytemeter.settings import Settings
from cli.commands.process import notify
from embedded.home import HOST
from embedded.stack import endpoints

_PORT = 5_000


@click.command()
@click.option("--port", type=click.IntRange(0, 65_535), default=_PORT, help="0 for a free one")
@click.option("--host", default=HOST, help="where to listen; other than loopback needs --keys")
@click.option(
    "--keys",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="API keys: lines of CLIENT, SHA-256 of the key, FEED[,FEED]; read again when it changes",
)
@click.option(
    "--journal",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="where events wait while Kafka is away; without it they are refused then",
)
@click.option(
    "--generator", is_flag=True, help="send simulated agreements and data records when asked: /api/…/generate"
)
@click.pass_obj
def collector(
    settings: Settings, port: int, host: str, keys: Path | None, journal: Path | None, generator: bool
) -> None:
    """Take events over HTTP until Ctrl-C: POST /v1/events/FEED; /docs describes it."""
    from bytemeter.web.server import Address, spare_garbage_collection
    from ingest.collector.server import Options, serve

    spare_garbage_collection()
    with until_signal() as signals, endpoints(settings, "kafka", notify=notify) as ready, signals.deferred() as stop:
        address, options = Address(host, port, keys), Options(journal, generator)
        serve(ready, address, stop, lambda url: click.echo(f"collector  {url}"), options)
