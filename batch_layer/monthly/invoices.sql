-- The invoices of a month, from the staged events. All statements run in one transaction of the monthly job.

-- name: clear_staged
-- Removes what earlier jobs have staged.
truncate staged_billable;

-- name: number_customers
-- Gives the customers of the month that have none yet a number, in the order of their names.
with numbered as (
    select coalesce(max(ordinal), 0) as last from invoice_numbers
    where month = :month
),

found as (
    select distinct customer from staged_billable
    where attempt = :attempt
)

insert into invoice_numbers (month, customer, ordinal)
select
    :month as month,
    f.customer,
    row_number() over (order by f.customer) + numbered.last as ordinal
from found as f
cross join numbered
left join invoice_numbers as n on n.month = :month and f.customer = n.customer
where n.customer is null;

-- name: remove_events_of_drafts
-- Removes the events of the month's drafts.
delete from invoice_events as e
using invoices as i
where i.month = :month and i.state = 'draft' and e.number = i.number;

-- name: remove_drafts
-- Removes the month's drafts.
delete from invoices
where month = :month and state = 'draft';

-- name: find_evidence
-- Writes the temporary table evidence: of each customer and type the events that no issued line has yet, and those that
-- issued lines have although they do not count any more (counts -1). Without issued lines these are all staged events.
create temporary table evidence on commit drop as
with issued as (
    select
        i.customer,
        i.type,
        e.partition,
        e.record_offset,
        max(e.event_time) as event_time,
        max(e.amount) as amount,
        max(e.event_id) as event_id
    from invoices as i
    inner join invoice_events as e on i.number = e.number
    where i.month = :month
    group by i.customer, i.type, e.partition, e.record_offset
    having sum(e.counts) > 0
),

counted as (
    select
        customer,
        type,
        partition,
        record_offset,
        from_us(event_us) as event_time,
        amount,
        event_id
    from staged_billable
    where attempt = :attempt
)

select
    c.*, -- noqa: AM04
    1 as counts
from counted as c
left join issued as i on c.partition = i.partition and c.record_offset = i.record_offset
where i.partition is null
union all
select
    i.*,
    -1 as counts
from issued as i
left join counted as c on i.partition = c.partition and i.record_offset = c.record_offset
where c.partition is null;

-- name: write_lines
-- Writes a draft line for each customer and type that has evidence: of an amendment where the customer's invoice of the
-- month was issued.
with issued as (
    select
        customer,
        count(distinct invoice) filter (where amends is not null) as amendments
    from invoices
    where month = :month
    group by customer
),

found as (
    select
        customer,
        type,
        count(*) filter (where counts = 1) as added,
        count(*) filter (where counts = -1) as taken_back
    from evidence
    group by customer, type
),

named as (
    select
        f.*, -- noqa: AM04
        -- At least six digits.
        :month || '-' || lpad(n.ordinal::text, greatest(6, length(n.ordinal::text)), '0') as original,
        i.amendments
    from found as f
    inner join invoice_numbers as n on n.month = :month and f.customer = n.customer
    left join issued as i on f.customer = i.customer
)

insert into invoices (number, invoice, month, customer, type, amends, reason)
select
    original || coalesce('-A' || amendments + 1, '') || '-' || type as number,
    original || coalesce('-A' || amendments + 1, '') as invoice,
    :month as month,
    customer,
    type,
    case when amendments is not null then original end as amends,
    case
        when amendments is not null then concat_ws(
            '; ',
            case when added > 0 then added || ' late: counted after the invoice was final' end,
            case when taken_back > 0 then taken_back || ' taken back: not counted any more' end
        )
    end as reason
from named;

-- name: write_events
-- Writes the evidence of the drafts.
insert into invoice_events (number, partition, record_offset, counts, event_time, amount, event_id)
select
    i.number,
    e.partition,
    e.record_offset,
    e.counts,
    e.event_time,
    e.amount,
    e.event_id
from evidence as e
inner join invoices as i
    on i.month = :month and i.state = 'draft' and e.customer = i.customer and e.type = i.type
order by i.number, e.partition, e.record_offset;

-- name: add_up
-- Adds up the drafts of the month, and hashes their events as docs/billing.md says.
update invoices as i set
    total = a.total,
    events = a.events,
    digest = a.digest,
    made_at = now()
from (
    select
        e.number,
        sum(e.counts * e.amount) as total,
        sum(e.counts) as events,
        encode(sha256(convert_to(string_agg(
            concat_ws(',', e.partition, e.record_offset, e.counts, to_us(e.event_time) / 1000000, e.amount) || chr(10),
            '' order by e.partition, e.record_offset
        ), 'UTF8')), 'hex') as digest
    from invoice_events as e
    inner join invoices as d on e.number = d.number
    where d.month = :month and d.state = 'draft'
    group by e.number
) as a
where i.number = a.number;

-- name: issue
-- Issues the drafts of the month: amendments in any case, invoices if they are to be final.
update invoices set state = case when amends is null then 'final' else 'amended' end
where month = :month and state = 'draft' and (amends is not null or :final);

-- name: made
-- Counts the invoices and amendments of the month that this transaction has made, by state.
select
    state,
    count(distinct invoice) as invoices
from invoices
where month = :month and made_at = now()
group by state
order by state;

-- name: lines_of_month
-- Reads the lines of a month, for its files.
select
    number,
    invoice,
    month,
    customer,
    type,
    events,
    total_eur,
    total,
    rounding,
    state,
    amends,
    reason,
    digest
from invoice_lines
where month = :month
order by number;

-- name: events_of_month
-- Reads the events behind the lines of a month, for its file.
select
    e.number,
    i.customer,
    i.type,
    e.partition,
    e.record_offset,
    e.counts,
    e.event_time,
    e.amount,
    e.event_id
from invoices as i
inner join invoice_events as e on i.number = e.number
where i.month = :month
order by e.number, e.partition, e.record_offset;
