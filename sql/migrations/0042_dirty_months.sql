-- Which billing months have events that no monthly run has seen, so that amendments are made without being asked for.
create table billing_months (
    month timestamptz primary key,
    version bigint not null default 1,
    billed_version bigint not null default 0,
    dirty boolean not null generated always as (billed_version < version) stored,
    dirty_since timestamptz not null default now()
) with (fillfactor = 70);
comment on table billing_months is 'billing months with events; a dirty one has events that no monthly run has seen';
comment on column billing_months.month is 'the first instant of the month in the billing zone';
comment on column billing_months.version is 'grows with each micro-batch that counts an event of the month';
comment on column billing_months.billed_version is 'the version that the last monthly run has seen';
comment on column billing_months.dirty_since is 'since when events of a dirty month wait for a run';
grant select, insert, update on billing_months to bytemeter_writer;

-- What earlier runs have seen is not known: one more run of such a month changes nothing, or makes the amendments that
-- it lacks.
insert into billing_months (month)
select distinct month from billable_monthly;

create view dirty_months as
select
    m.month,
    to_char(m.month at time zone z.zone, 'YYYY-MM') as name,
    (date_trunc('month', m.month at time zone z.zone) + interval '1 month') at time zone z.zone as ends_at,
    m.dirty_since
from billing_months as m
cross join billing_zone as z
where
    m.dirty
    or exists (
        select from invoices as i
        where i.month = to_char(m.month at time zone z.zone, 'YYYY-MM') and i.state = 'draft'
    );
comment on view dirty_months is
'billing months that a monthly run would change: by events that no run has seen, or since they have drafts';
revoke all on dirty_months from bytemeter_writer;
grant select on dirty_months to bytemeter_writer;
