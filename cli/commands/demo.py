"""The command ``demo``."""

from __future__ import annotations

import click

from bytemeter.ending import until_signal
from bytemeter.settings import Settings


@click.command()
@click.option("--for", "duration", metavar="DURATION", help="end after e.g. 60s or 5m; by default Ctrl-C ends it")
@click.option("--rate", type=click.FloatRange(min=1), default=200.0, help="records a second")
@click.option("--seed", type=int, default=7, help="seed of the traffic")
@click.option("--dashboards/--no-dashboards", default=True, help="Superset with the dashboards; installed at first use")
@click.pass_obj
def demo(settings: Settings, duration: str | None, rate: float, seed: int, dashboards: bool) -> None:
    """All of it with simulated traffic, from nothing to figures on the screen."""
    with until_signal() as signals:
        from demo.demo import Demo, seconds
    if not signals.name:
        lasting = seconds(duration) if duration else None
        Demo(settings, rate=rate, seed=seed, seconds=lasting, dashboards=dashboards).run()
