-- name: invoice
-- Reads an invoice with its rounded total, or that of one of its lines.
select
    t.invoice,
    t.month,
    t.customer,
    t.state,
    t.amends,
    t.events,
    t.total_eur,
    t.total,
    t.rounding,
    z.zone
from invoice_totals as t
cross join billing_zone as z
where t.invoice = (
    select i.invoice from invoices as i
    where i.number = :number or i.invoice = :number
    order by i.number
    limit 1
);

-- name: lines
-- Reads the lines of an invoice, or the one of that number.
select
    number,
    type,
    events,
    total_eur,
    total,
    rounding,
    digest,
    reason
from invoice_lines
where invoice = :number or number = :number
order by number;

-- name: amendments
-- Reads the amendments of an invoice.
select
    invoice,
    events,
    total_eur,
    total,
    rounding
from invoice_totals
where amends = :number
order by length(invoice), invoice;

-- name: events
-- Reads the events behind a line in the order and the writing that its digest is made of.
select concat_ws(',', partition, record_offset, counts, to_us(event_time) / 1000000, amount) as event
from invoice_events
where number = :number
order by partition, record_offset;
