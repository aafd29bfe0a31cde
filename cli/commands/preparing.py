"""Commands that prepare the servers: ``migrate`` and ``provision``."""

from __future__ import annotations

import click

from bytemeter.ending import interruptible
from bytemeter.settings import Settings
from cli.commands.process import notify
from embedded.stack import endpoints


@click.command()
@click.pass_obj
def migrate(settings: Settings) -> None:
    """Create or update tables and views, and create missing topics."""
    from bytemeter.prepare import prepare

    with interruptible(), endpoints(settings, "kafka", "database_url", notify=notify) as ready:
        done = prepare(ready)
    click.echo(f"migrations applied: {', '.join(done.migrations) or 'none, all exist'}")
    click.echo(f"topics created: {', '.join(done.topics) or 'none, all exist'}")


@click.command()
@click.pass_obj
def provision(settings: Settings) -> None:
    """Write the 20 users of the simulated phones, and their quotas."""
    from bytemeter.postgres import database
    from simulator.users import provision as provision_users

    with interruptible(), endpoints(settings, "database_url", notify=notify) as ready:
        click.echo(f"users provisioned: {provision_users(database(ready.require_database_url()))}")
