-- Totals of billable events in exact money: of calendar months in the billing zone, and by the hour as recomputed.
create table billing_zone (
    zone text not null,
    noted_at timestamptz not null default now(),
    the_only_row boolean primary key default true check (the_only_row)
);
comment on table billing_zone is
'the time zone of billing months, noted when the first event is counted: months that are stored never move';

create table billable_monthly (
    month timestamptz not null,
    dimension text collate "C" not null,
    id text collate "C" not null,
    total numeric not null,
    primary key (month, dimension, id)
) with (fillfactor = 70);
comment on table billable_monthly is 'live, corrected by each monthly recompute: euros per calendar month, unrounded';
comment on column billable_monthly.month is 'the first instant of the month in the billing zone';
comment on column billable_monthly.dimension is
'customer, type, or customer_type: then id is both, e.g. Charlie/CALL, with % and / of a customer as %25 and %2F';

create table billable_hourly (
    dimension text collate "C" not null,
    id text collate "C" not null,
    timestamp timestamptz not null,
    total numeric not null,
    primary key (dimension, id, timestamp)
);
create index billable_hourly_timestamp on billable_hourly (timestamp);
comment on table billable_hourly is
'batch: euros per hour, recomputed from the history, unrounded; timestamp is the start of the hour (UTC)';

create table billable_recomputed (
    month timestamptz not null,
    dimension text collate "C" not null,
    id text collate "C" not null,
    total numeric not null,
    primary key (month, dimension, id)
);
comment on table billable_recomputed is 'batch: euros per month as the last monthly recompute found them, unrounded';

create table billable_recomputes (
    month timestamptz primary key,
    as_of timestamptz not null,
    corrected bigint not null
);
comment on table billable_recomputes is 'batch: the last recompute of each month of billable events';
comment on column billable_recomputes.as_of is 'billable_recomputed has what was counted until then';
comment on column billable_recomputes.corrected is 'how many live totals it has corrected';

grant select, insert on billing_zone to bytemeter_writer;
grant select, insert, update, delete on billable_monthly, billable_hourly, billable_recomputed to bytemeter_writer;
grant select, insert, update on billable_recomputes to bytemeter_writer;

-- Half to even, as PostgreSQL's own round() of a numeric does not: that rounds halves away from zero.
create function round_half_even(amount numeric, decimals integer) returns numeric
language sql immutable parallel safe
return round(
    round(amount, decimals) - case
        when
            abs(amount - trunc(amount, decimals)) * 2 * power(10::numeric, decimals) = 1
            and mod(abs(trunc(amount, decimals)) * power(10::numeric, decimals), 2) = 0
            then sign(amount) * power(10::numeric, -decimals)
        else 0
    end, decimals
);
comment on function round_half_even(numeric, integer) is 'rounds to the nearest, and halves to the even neighbour';

-- Months as people write and read them. Money is rounded once, here; rounding is what that has changed.
create view billable_by_month as
select
    to_char(billable_monthly.month at time zone billing_zone.zone, 'YYYY-MM') as month,
    billable_monthly.dimension,
    billable_monthly.id,
    round_half_even(billable_monthly.total, 2) as total_eur,
    billable_monthly.total,
    round_half_even(billable_monthly.total, 2) - billable_monthly.total as rounding,
    billable_monthly.month as month_start,
    (
        select max(ledger.updated_at) from ledger
        where ledger.feed = 'billable-events'
    ) as as_of,
    billable_recomputes.as_of as recomputed_at,
    to_char(billable_monthly.month at time zone billing_zone.zone, 'YYYY-MM')
    = to_char(now() at time zone billing_zone.zone, 'YYYY-MM') as running
from billable_monthly
cross join billing_zone
left join billable_recomputes on billable_monthly.month = billable_recomputes.month;
comment on view billable_by_month is
'euros per month of the billing zone, rounded half even; total is exact, rounding what was added to show it';

create view billable_live_against_batch as
select
    coalesce(live.month, batch.month) as month,
    coalesce(live.dimension, batch.dimension) as dimension,
    coalesce(live.id, batch.id) as id,
    live.total as live,
    batch.total as batch,
    coalesce(batch.total, 0) - coalesce(live.total, 0) as delta,
    recomputes.as_of as recomputed_at
from billable_monthly as live
full join billable_recomputed as batch
    on live.month = batch.month and live.dimension = batch.dimension and live.id = batch.id
inner join billable_recomputes as recomputes on coalesce(live.month, batch.month) = recomputes.month
where live.total is distinct from batch.total;
comment on view billable_live_against_batch is
'totals of recomputed months that differ from the last recompute: by events that were counted since';
revoke all on billable_by_month, billable_live_against_batch from bytemeter_writer;
