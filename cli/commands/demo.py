"""The command ``demo``."""

from __future__ import annotations

import datetime as dt

import click

from bytemeter.ending import interruptible, until_signal
from bytemeter.settings import Settings
from cli.commands.process import notify, spark_session
from embedded.stack import endpoints


@click.command()
@click.option("--for", "duration", metavar="DURATION", help="end after e.g. 60s or 5m; by default Ctrl-C ends it")
@click.option("--rate", type=click.FloatRange(min=1), default=100.0, help="records of phones a second")
@click.option("--seed", type=int, default=7, help="seed of the traffic")
@click.option("--dashboards/--no-dashboards", default=True, help="Superset with the dashboards; installed at first use")
@click.option("--backlog", is_flag=True, help="two months of traffic, counted and recomputed at once, then the end")
@click.pass_obj
def demo(settings: Settings, duration: str | None, rate: float, seed: int, dashboards: bool, backlog: bool) -> None:
    """All of it with simulated traffic, from nothing to figures on the screen.

    With --backlog nothing is shown: it fills an empty place with data for the notebooks.
    """
    if backlog:
        if duration:
            raise click.UsageError("--backlog ends by itself; leave out --for")
        _fill_backlog(settings, seed)
        return
    with until_signal() as signals:
        from demo.demo import Demo, seconds
    if not signals.name:
        lasting = seconds(duration) if duration else None
        Demo(settings, rate=rate, seed=seed, seconds=lasting, dashboards=dashboards).run()


def _fill_backlog(settings: Settings, seed: int) -> None:
    """Fill an empty place with two months of traffic that end now."""
    with (
        interruptible(),
        spark_session(settings) as spark,
        endpoints(settings, "kafka", "database_url", "history", notify=notify) as ready,
    ):
        from bytemeter.postgres import database
        from bytemeter.prepare import prepare
        from demo.backlog import Backlog
        from simulator.users import provision

        prepare(ready)
        provision(database(ready.require_database_url()))
        until = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
        Backlog(spark.result(), ready, until, seed).fill()
    notify("two months of traffic are counted; open the notebooks by `make notebooks`")
