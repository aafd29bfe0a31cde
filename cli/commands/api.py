"""The command ``api``."""

from __future__ import annotations

from pathlib import Path

import click

from bytemeter.ending import until_signal
from bytemeter.settings import Settings
from cli.commands.process import notify
from embedded.home import HOST
from embedded.stack import endpoints

_PORT = 8_000


@click.command()
@click.option("--port", type=click.IntRange(0, 65_535), default=_PORT, help="0 for a free one")
@click.option("--host", default=HOST, help="where to listen; other than loopback needs --keys")
@click.option(
    "--keys",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="API keys: lines of CLIENT, SHA-256 of the key, SCOPE[,SCOPE]; read again when it changes",
)
@click.pass_obj
def api(settings: Settings, port: int, host: str, keys: Path | None) -> None:
    """Answer what is counted over HTTP until Ctrl-C, with a page at /; /docs describes it."""
    from bytemeter.web.server import Address, spare_garbage_collection
    from serving.api.server import serve

    spare_garbage_collection()
    with (
        until_signal() as signals,
        endpoints(settings, "database_url", notify=notify) as ready,
        signals.deferred() as stop,
    ):
        serve(ready, Address(host, port, keys), stop, lambda url: click.echo(f"api  {url}"))
