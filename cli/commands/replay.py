"""The command ``replay``."""

from __future__ import annotations

import datetime as dt

import click

from bytemeter.ending import until_signal
from bytemeter.errors import BytemeterError
from bytemeter.settings import Settings
from cli.commands.process import notify, spark_session
from embedded.stack import endpoints


@click.command("replay")
@click.argument("feed", type=click.Choice(["telemetry"]))
@click.option("--from", "since", required=True, metavar="TIME", help="ISO 8601, UTC without an offset")
@click.option("--to", "until", metavar="TIME", help="by default now")
@click.option("--only", type=click.Choice(["failed"]), help="do not count the records of that time that passed")
@click.pass_obj
def replay(settings: Settings, feed: str, since: str, until: str | None, only: str | None) -> None:
    """Send failed messages of a stretch of time again that are valid by the present schemas, each once."""
    now = dt.datetime.now(dt.UTC)
    first, last = _instant(since), _instant(until) if until else now
    if first >= last:
        raise BytemeterError(f"--from {since} is not before --to {until or 'now'}; give an earlier --from")
    with (
        until_signal() as signals,
        endpoints(settings, "kafka", "database_url", "history", notify=notify) as ready,
        spark_session(ready) as session,
    ):
        from bytemeter.feeds import feed_named, with_schemas
        from bytemeter.telemetry.schema_files import read_folder
        from ingest.replay.notes import Stretch
        from ingest.replay.replaying import Replay

        judged_by = with_schemas(feed_named(feed), read_folder(ready.telemetry_schemas))
        spark = session.result()
        with signals.deferred() as stop:
            work = Replay(ready, spark, judged_by, lambda: dt.datetime.now(dt.UTC), stop)
            replayed = work.run(Stretch(first, last), only_failed=only == "failed")
    for line in replayed.lines(judged_by.topic):
        click.echo(line)
    if signals.name:
        raise BytemeterError(f"ended by {signals.name} before all messages were looked at; run it again")


def _instant(text: str) -> dt.datetime:
    try:
        parsed = dt.datetime.fromisoformat(text)
    except ValueError:
        raise BytemeterError(f"{text!r} is not a time; give e.g. 2026-11-21T10:00:00") from None
    return parsed.replace(tzinfo=parsed.tzinfo or dt.UTC).astimezone(dt.UTC)
