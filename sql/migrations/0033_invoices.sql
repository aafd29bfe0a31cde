-- Invoices of billable events, made by the monthly job. A row is a line: what a customer owes for one type of events.
create table invoices (
    number text collate "C" primary key,
    invoice text collate "C" not null,
    month text not null check (month ~ '^\d{4}-\d{2}$'),
    customer text collate "C" not null,
    type text collate "C" not null,
    total numeric not null default 0,
    events bigint not null default 0,
    state text not null default 'draft' check (state in ('draft', 'final', 'amended')),
    digest text not null default '',
    amends text collate "C",
    reason text,
    made_at timestamptz not null default now(),
    check ((amends is null) = (reason is null)),
    check (state <> 'amended' or amends is not null)
);
create index invoices_month on invoices (month, customer);
create index invoices_invoice on invoices (invoice);
comment on table invoices is
'lines of invoices and of their amendments; all but drafts are kept as they are; see docs/billing.md';
comment on column invoices.number is 'of the line: the invoice and the type, e.g. 2026-11-000003-CALL';
comment on column invoices.invoice is 'of the invoice, e.g. 2026-11-000003; of its amendments 2026-11-000003-A1 …';
comment on column invoices.total is 'euros, unrounded; of an amendment the difference that its events make';
comment on column invoices.state is
'draft: made anew by each run; final: made after the grace; amended: an amendment, which leaves the invoice as it is';
comment on column invoices.digest is 'SHA-256 over the events of the line, in hexadecimal; see docs/billing.md';
comment on column invoices.amends is 'the invoice that an amendment is to';

create table invoice_events (
    number text collate "C" not null,
    partition integer not null,
    record_offset bigint not null,
    counts smallint not null check (counts in (1, -1)),
    event_time timestamptz not null,
    amount numeric(21, 6) not null,
    event_id text,
    primary key (number, partition, record_offset)
);
comment on table invoice_events is 'the events behind each line of the invoices';
comment on column invoice_events.counts is '1, or -1 for an event that an amendment takes back';

create table invoice_numbers (
    month text not null,
    customer text collate "C" not null,
    ordinal integer not null,
    primary key (month, customer),
    unique (month, ordinal)
);
comment on table invoice_numbers is 'the number that the invoice of a customer and month has, from its first draft on';

-- What the monthly job stages: the events of the month that count.
create unlogged table staged_billable (
    attempt bigint not null default current_setting('bytemeter.attempt')::bigint,
    customer text collate "C" not null,
    type text collate "C" not null,
    partition integer not null,
    record_offset bigint not null,
    event_us bigint not null,
    amount numeric not null,
    event_id text
);

-- Who issues an invoice cannot change it any more, whatever the program or its rights.
create function keep_issued_lines() returns trigger
language plpgsql
as $$
begin
    raise exception 'the line % is % and stays as it is; an amendment changes what is owed', old.number, old.state
        using errcode = 'integrity_constraint_violation';
end
$$;
create trigger issued_lines_stay before update or delete on invoices
for each row when (old.state <> 'draft') execute function keep_issued_lines();

create function keep_issued_events() returns trigger
language plpgsql
as $$
begin
    if exists (
        select from changed
        inner join invoices on changed.number = invoices.number
        where invoices.state <> 'draft'
    ) then
        raise exception 'the events of a line that is not a draft stay as they are'
            using errcode = 'integrity_constraint_violation';
    end if;
    return null;
end
$$;
create trigger added_events_are_of_drafts after insert on invoice_events
referencing new table as changed for each statement execute function keep_issued_events();
create trigger removed_events_are_of_drafts after delete on invoice_events
referencing old table as changed for each statement execute function keep_issued_events();
create trigger updated_events_are_of_drafts after update on invoice_events
referencing old table as changed for each statement execute function keep_issued_events();
revoke execute on function keep_issued_lines(), keep_issued_events() from public;

grant select, insert, update, delete on invoices to bytemeter_writer;
grant select, insert, delete on invoice_events to bytemeter_writer;
grant select, insert on invoice_numbers to bytemeter_writer;
grant select, insert, truncate on staged_billable to bytemeter_writer;

-- Money is rounded once for each figure that is shown: the total of an invoice is the rounded sum of exact lines.
create view invoice_lines as
select
    number,
    invoice,
    month,
    customer,
    type,
    events,
    round_half_even(total, 2) as total_eur,
    total,
    round_half_even(total, 2) - total as rounding,
    state,
    amends,
    reason,
    digest,
    made_at
from invoices;
comment on view invoice_lines is
'lines of invoices, rounded half even; total is exact, rounding what was added to show it';

create view invoice_totals as
select
    invoice,
    month,
    customer,
    count(*) as lines,
    sum(events)::bigint as events,
    round_half_even(sum(total), 2) as total_eur,
    sum(total) as total,
    round_half_even(sum(total), 2) - sum(total) as rounding,
    state,
    amends,
    max(made_at) as made_at
from invoices
group by invoice, month, customer, state, amends;
comment on view invoice_totals is 'invoices and amendments, rounded half even from their exact lines';
revoke all on invoice_lines, invoice_totals from bytemeter_writer;
grant select on invoice_lines to bytemeter_writer;
