"""What each role of the migrations may do: a matrix of tables, rights and roles, held against PostgreSQL's catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from sqlalchemy import URL, Engine, create_engine, make_url, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool

from batch_layer.months import Month
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, DEVICES
from bytemeter.migrations import migrate
from bytemeter.postgres import database
from bytemeter.settings import Settings
from serving.reader import reader_login
from simulator.users import provision
from tests.builders import agreement, record, utc

Rows = Callable[..., list[tuple[Any, ...]]]
WRITER, READER = "bytemeter_writer", "bytemeter_reader"

# What the jobs do to each table: S(elect), I(nsert), U(pdate), D(elete), T(runcate). Nobody has references, trigger or
# maintain; the reader, and the dashboards' login with it, has S on every table and view. A new table needs a line here,
# and its rights in the migration that makes it.
TABLES = {
    "agreement_services": "SID",  # made anew when a version changes them
    "agreement_versions": "SIUD",  # a message may change from when an earlier one holds, and so its key
    "agreements": "SIU",  # the last version replaces an earlier one
    "billable_hourly": "SIUD",  # as bytes_hourly
    "billable_monthly": "SIUD",  # live totals grow; the recompute removes one of which no record is left
    "billable_recomputed": "SIUD",  # as bytes_monthly
    "billable_recomputes": "SIU",  # each month's last one
    "billing_zone": "SI",  # noted once
    "billing_calendars": "SIU",  # how far calendars are computed
    "billing_months": "SIU",  # versions grow
    "billing_periods": "SI",  # computed once
    "bytes": "SIU",  # live totals grow; no job removes one
    "bytes_hourly": "SIUD",  # replaced by recomputes; a total that is gone is deleted
    "bytes_monthly": "SIUD",  # as bytes_hourly
    "data_plan_usage": "SIUD",  # a period without records that its agreement no longer has is deleted
    "duplicate_events": "SI",  # a list that grows; what is sent on is decided by it
    "event_publishing": "SIU",  # its lock is the right to publish; it has no rows
    "event_counts": "SIU",  # as bytes
    "event_counts_hourly": "SIUD",  # as bytes_hourly
    "hours": "SIU",  # versions grow
    "history_ends": "SIU",  # as the history grows
    "import_offsets": "SIU",  # ranges grow
    "imports": "SIU",  # counts grow
    "job_runs": "SIU",  # a run begins, and ends
    "job_schedules": "SIUD",  # of the scheduler; a job that is not scheduled any more is deleted
    "invoice_events": "SID",  # of drafts, which are made anew; a trigger keeps those of issued lines
    "invoice_numbers": "SI",  # a number stays
    "invoices": "SIUD",  # drafts are made anew; a trigger keeps issued lines
    "invalid_events": "SIU",  # as duplicate_events; what is sent again is noted in it
    "last_event_position": "S",  # moved by a function
    "leases": "SIU",  # taken, taken over, given back
    "ledger": "SIU",  # what was counted is never forgotten
    "migrations": "",  # of who migrates
    "monthly_ownership": "SIT",  # staging of the monthly job, emptied at its start
    "plan_segments": "SIUD",  # forgotten when an agreement of the MSISDN changes
    **dict.fromkeys((f"reference_{kind}" for kind in ("contents", "devices", "dialcodes", "users")), "SIUD"),  # loaded
    "routed": "SIU",  # as the ledger
    "routed_messages": "SIU",  # counts grow
    "seen_generations": "S",  # made and dropped by functions
    "seen_ids": "SID",  # packs are written anew as larger ones; packs that were never counted are deleted
    "seen_segments": "SIUD",  # an open one becomes full; one that was never counted is deleted
    "staged_billable": "SIT",  # staging of the monthly job
    "staged_hourly": "SIT",  # staging of the hourly job, emptied at its start
    "staged_monthly": "SIT",  # staging of the monthly job
    "staged_plan_usage": "SIT",  # staging of the monthly job
    "threshold_events": "SIU",  # the outbox: marked as published, never deleted
    "topic_ends": "SIU",  # as the topics grow
    "unmatched_records": "SID",  # deleted once their agreement has arrived
    "user_metadata": "SI",  # read by the hourly job; `bytemeter provision` adds users, and changes none
    "user_quota_limit": "SID",  # breaches of recomputed hours are replaced
}
# The views that the jobs, `schedule list` and `status` read. All other views are for people.
VIEWS = {
    **{"invoice_lines": "S", "judged_periods": "S", "plan_ownership": "S", "refused_events": "S"},
    **dict.fromkeys(
        ("feed_status", "dirty_status", "dirty_months", "outbox_status", "job_status", "routing_status"), "S"
    ),
}
# Functions that not everybody may execute, and who may; all others compute and change nothing.
FUNCTIONS = {
    **{name: {WRITER} for name in ("open_periods", "seen_generation", "drop_seen_generation")},
    "number_threshold_events": {READER},
}
FUNCTIONS |= {"keep_issued_lines": set(), "keep_issued_events": set()}  # of triggers
# Functions that run with their owner's rights. A new one needs a reason why its callers can make no other use of it:
# these make and drop tables of event ids that they name themselves, by a number; or give events positions that no reader
# can choose.
OWNERS_FUNCTIONS = {"seen_generation", "drop_seen_generation", "number_threshold_events"}

RIGHTS = {
    **{"S": "SELECT", "I": "INSERT", "U": "UPDATE", "D": "DELETE", "T": "TRUNCATE"},
    **{"R": "REFERENCES", "G": "TRIGGER", "M": "MAINTAIN"},
}
RELATIONS = """
select relname, relkind from pg_class
where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f')
"""


def logged_in(url: URL) -> Engine:
    """The database of a URL, a session for each connection."""
    return database(url.render_as_string(hide_password=False))


@pytest.fixture(scope="module")
def owner(servers: Settings) -> Iterator[Engine]:
    """A migrated database of this module's own: what PostgreSQL grants on a database is not copied with it."""
    url = make_url(servers.require_database_url())
    admin = logged_in(url.set(database="postgres")).execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("create database rights"))
    engine = logged_in(url.set(database="rights"))
    migrate(engine)
    yield engine
    with admin.connect() as connection:
        connection.execute(text("drop database rights with (force)"))


@pytest.fixture(scope="module")
def dashboards(owner: Engine) -> Iterator[URL]:
    """The login of dashboards."""
    url = reader_login(owner)
    yield url
    with owner.begin() as connection:
        connection.execute(text(f'drop role "{url.username}"'))


@pytest.fixture
def ask(owner: Engine) -> Rows:
    """Ask the catalogue."""

    def rows(statement: str, **values: Any) -> list[tuple[Any, ...]]:
        with owner.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement), values)]

    return rows


def rights(ask: Rows, role: str) -> dict[str, str]:
    """The rights of a role on each table and view, one letter for each."""
    held = ", ".join(
        f"case when has_table_privilege('{role}', quote_ident(relname), '{right}') then '{letter}' else '' end"
        for letter, right in RIGHTS.items()
    )
    return dict(ask(f"select relname, concat({held}) from ({RELATIONS}) as relations"))


def test_the_writer_has_the_rights_of_the_jobs_on_each_table_and_no_others(ask: Rows) -> None:
    views = {name: VIEWS.get(name, "") for name, kind in ask(RELATIONS) if kind == "v"}
    assert rights(ask, WRITER) == TABLES | views


@pytest.mark.parametrize("role", [READER, "dashboards", "public"])
def test_who_reads_has_no_right_to_write(ask: Rows, role: str, dashboards: URL) -> None:
    held = "" if role == "public" else "S"
    name = str(dashboards.username) if role == "dashboards" else role
    assert rights(ask, name) == {relation: held for relation, _ in ask(RELATIONS)}


def test_no_right_is_granted_on_a_column_or_a_sequence(ask: Rows) -> None:
    columns = "select attrelid::regclass, attname from pg_attribute where attacl is not null and attrelid >= 16384"
    sequences = """
    select c.relname, r.role from pg_class as c, unnest(cast(:roles as text[])) as r (role)
    where c.relkind = 'S' and c.relnamespace = 'public'::regnamespace
        and has_sequence_privilege(r.role, c.oid, 'USAGE, SELECT, UPDATE')
    """
    assert ask(columns) == []
    # Identity columns take their numbers without it.
    assert ask(sequences, roles=[WRITER, READER, "public"]) == []


def test_only_the_writer_makes_temporary_tables_and_nobody_other_ones(ask: Rows, dashboards: URL) -> None:
    held = """
    select role,
        has_database_privilege(role, current_database(), 'TEMPORARY'),
        has_database_privilege(role, current_database(), 'CREATE'),
        has_schema_privilege(role, 'public', 'CREATE')
    from unnest(cast(:roles as text[])) as roles (role)
    """
    roles = [WRITER, READER, str(dashboards.username), "public"]
    assert ask(held, roles=roles) == [(role, role == WRITER, False, False) for role in roles]
    assert ask("select nspname from pg_namespace where oid >= 16384 and not starts_with(nspname, 'pg_')") == []


def test_functions_that_write_are_the_jobs_alone(ask: Rows) -> None:
    executable = """
    select p.proname, r.role from pg_proc as p, unnest(cast(:roles as text[])) as r (role)
    where p.pronamespace = 'public'::regnamespace and has_function_privilege(r.role, p.oid, 'EXECUTE')
    """
    roles = {WRITER, READER, "public"}
    volatile = "select proname from pg_proc where pronamespace = 'public'::regnamespace and provolatile = 'v'"
    held = ask(executable, roles=list(roles))
    names = {name for (name,) in ask("select proname from pg_proc where pronamespace = 'public'::regnamespace")}
    assert {name: {role for n, role in held if n == name} for name in names} == {
        name: FUNCTIONS.get(name, roles) for name in names
    }
    assert {name for (name,) in ask(volatile)} <= FUNCTIONS.keys()
    definers = "select proname from pg_proc where pronamespace = 'public'::regnamespace and prosecdef"
    assert {name for (name,) in ask(definers)} == OWNERS_FUNCTIONS


def test_nobody_makes_large_objects(ask: Rows) -> None:
    makes = "proname in ('lo_creat', 'lo_create', 'lo_from_bytea') and pronamespace = 'pg_catalog'::regnamespace"
    assert ask(f"select has_function_privilege('public', oid, 'EXECUTE') from pg_proc where {makes}") == [(False,)] * 3


def test_who_does_not_own_the_database_migrates_too(owner: Engine) -> None:
    admin = owner.execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("create role tenant login createrole password 'secret'"))
        connection.execute(text("create database another"))
    another = logged_in(owner.url.set(database="another"))
    with another.begin() as connection:
        connection.execute(text("grant create on schema public to tenant; grant create on database another to tenant"))
    try:
        migrate(logged_in(another.url.set(username="tenant", password="secret")))
        with another.connect() as connection:
            kept = "select has_database_privilege('public', 'another', 'TEMPORARY')"
            assert connection.scalar(text(kept)) is True
            assert connection.scalar(text(f"select has_table_privilege('{WRITER}', 'ledger', 'TRUNCATE')")) is False
    finally:
        with admin.connect() as connection:
            connection.execute(text("drop database another with (force)"))
            connection.execute(text("drop role tenant"))


def test_roles_have_no_attributes_and_are_members_of_no_others(ask: Rows, dashboards: URL) -> None:
    attributes = """
    select rolname, rolcanlogin, rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls
    from pg_roles where rolname = any(:roles) order by rolname
    """
    memberships = """
    select m.member::regrole::text, m.roleid::regrole::text from pg_auth_members as m
    where m.member::regrole::text = any(:roles)
    """
    login = str(dashboards.username)
    assert ask(attributes, roles=[WRITER, READER, login]) == [
        (READER, False, False),
        (WRITER, False, False),
        (login, True, False),
    ]
    assert ask(memberships, roles=[WRITER, READER, login]) == [(login, READER)]


def test_of_a_table_made_later_nothing_can_be_removed(owner: Engine, ask: Rows) -> None:
    with owner.begin() as connection:
        connection.execute(text("create table later (id integer); create schema later"))
    try:
        assert (rights(ask, WRITER)["later"], rights(ask, READER)["later"]) == ("SI", "S")
        assert ask(f"select has_schema_privilege('{WRITER}', 'later', 'USAGE')") == [(False,)]
    finally:
        with owner.begin() as connection:
            connection.execute(text("drop table later; drop schema later"))


FORBIDDEN = (
    "insert into ledger (feed, partition, topic_id, next_offset) values ('x', 0, '', 0)",
    "update bytes set value = 0",
    "delete from usage_by_app",
    "truncate migrations",
    "lock table ledger in share mode",
    "create table mine (id integer)",
    "create temporary table mine (id integer)",
    "create schema mine",
    "select lo_from_bytea(0, 'a')",
    "select open_periods('{a}', '{2026-01-01}')",
    "copy ledger to program 'cat'",
    "set temp_file_limit = -1",
    "alter role current_user connection limit -1",
    "alter role current_user createrole",
)


def test_the_login_of_dashboards_can_lift_its_defaults_but_nothing_that_holds(owner: Engine, dashboards: URL) -> None:
    url = reader_login(owner)
    with logged_in(url).connect() as connection:
        # PostgreSQL lets every session do that.
        connection.execute(text("set statement_timeout = 0; set default_transaction_read_only = off"))
        connection.commit()
        connection.execute(text("alter role current_user set statement_timeout = 0"))
        with suppress(ProgrammingError), connection.begin_nested():
            connection.execute(text("alter role current_user reset temp_file_limit"))
        connection.commit()
        assert connection.scalar(text("show transaction_read_only")) == "off"
        connection.commit()
        for statement in FORBIDDEN:
            with pytest.raises(ProgrammingError, match="permission denied|must be"), connection.begin():
                connection.execute(text(statement))
    assert settings_of(url) == ("0", "4GB")
    assert settings_of(reader_login(owner)) == ("1min", "4GB")


def settings_of(url: URL) -> tuple[str, str]:
    """What a session of the login begins with, in a program that sets nothing itself."""
    with create_engine(url.set(drivername="postgresql+psycopg2"), poolclass=NullPool).connect() as connection:
        row = connection.execute(
            text("select current_setting('statement_timeout'), current_setting('temp_file_limit')")
        )
        return tuple(row.one())


def test_the_login_of_dashboards_has_at_most_20_connections(owner: Engine, ask: Rows, dashboards: URL) -> None:
    url = reader_login(owner)
    assert ask("select rolconnlimit from pg_roles where rolname = :name", name=url.username) == [(20,)]
    with ExitStack() as held, pytest.raises(OperationalError, match="too many connections for role"):
        connect(held, url, times=21)


def connect(held: ExitStack, url: URL, times: int) -> None:
    """Open sessions; they stay open until ``held`` ends."""
    for _ in range(times):
        held.enter_context(logged_in(url).connect())


def test_the_writer_runs_the_jobs_and_provisions(
    as_writer: Settings,
    simulate: Callable[..., Any],
    put: Callable[..., None],
    stream: Callable[..., None],
    recompute: Callable[..., Any],
    monthly: Callable[..., Any],
    rows: Rows,
) -> None:
    provision(database(as_writer.require_database_url()))
    sent = simulate(200, duplicates=0.05, invalid=0.05)
    put([record("1", 900, "2026-11-01T00:00:00Z")], topic="data-records")
    stream(DEVICES, AGREEMENTS, DATA_RECORDS)
    put([agreement()], topic="agreements")
    stream(AGREEMENTS, DATA_RECORDS)
    recompute()
    monthly(Month(2026, 11), utc("2026-11-21"))
    assert rows("select sum(value) from bytes_hourly where type = 'app_bytes_total'") == [(sent.valid_bytes,)]
    assert rows("select count(*) from threshold_events") == [(2,)]
