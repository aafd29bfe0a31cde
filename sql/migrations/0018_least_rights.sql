-- The writer has what the jobs do to each table, and no more: until now it had all rights on all tables, and could
-- empty the ledger. The reader reads. tests/integration/test_roles.py holds the same as a matrix, with the reasons.
revoke all on all tables in schema public from bytemeter_writer, bytemeter_reader;
grant select on all tables in schema public to bytemeter_reader;

-- Totals and accounts: added to, never removed.
grant select, insert, update on bytes, hours, ledger, topic_ends to bytemeter_writer;
grant insert on duplicate_events, invalid_events to bytemeter_writer;

-- Event ids: small packs are written anew as larger ones, what was never counted is removed.
grant select, insert, update, delete on seen_segments to bytemeter_writer;
grant select, insert, delete on seen_ids to bytemeter_writer;

-- Data plans.
grant select, insert, update on agreements, billing_calendars, threshold_events to bytemeter_writer;
grant select, insert on billing_periods to bytemeter_writer;
grant select, insert, update, delete on data_plan_usage, plan_segments to bytemeter_writer;
grant select, insert, delete on unmatched_records to bytemeter_writer;

-- Recomputes replace totals and quota breaches. Staging tables are emptied at the start of each.
grant select, insert, update, delete on bytes_hourly, bytes_monthly to bytemeter_writer;
grant select, insert, delete on user_quota_limit to bytemeter_writer;
grant select, insert, truncate on staged_hourly, staged_monthly, staged_plan_usage, monthly_ownership
to bytemeter_writer;

-- `bytemeter provision` adds users; it changes none.
grant select, insert on user_metadata to bytemeter_writer;

-- The views that the jobs read.
grant select on judged_periods, plan_ownership, refused_events to bytemeter_writer;

-- What is made later: the reader reads it (since 0006), the writer reads and appends, as it does with tables of event
-- ids that are made while records are counted. A migration grants what else a new table needs.
alter default privileges revoke usage on schemas from bytemeter_writer;
alter default privileges revoke update, delete, truncate on tables from bytemeter_writer;
do $$
declare
    made text;
begin
    for made in
        select relname from pg_class
        where relnamespace = 'public'::regnamespace and relkind = 'r' and starts_with(relname, 'seen_ids_')
    loop
        execute format('grant select, insert on %I to bytemeter_writer', made);
    end loop;
    if to_regclass('public.seen_generations') is not null then
        execute 'grant select on seen_generations to bytemeter_writer';
    end if;
end
$$;

-- The one function that writes. All others compute, and views call them: everybody may.
revoke execute on function open_periods(text[], timestamptz[]) from public;
grant execute on function open_periods(text[], timestamptz[]) to bytemeter_writer;

-- What PostgreSQL grants to everybody: temporary tables are for the jobs, large objects for nobody, since a login that
-- only reads could fill the disk with either. Tables in the schema are made by its owner (as since PostgreSQL 15).
-- Where the user who migrates owns neither the database nor the schema, all this stays as it is, and PostgreSQL warns.
revoke create on schema public from public;
revoke execute on function lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) from public;
do $$
begin
    execute format('revoke temporary on database %I from public', current_database());
    execute format('grant temporary on database %I to bytemeter_writer', current_database());
end
$$;
