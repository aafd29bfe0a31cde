-- Earlier versions could store a month of a calendar a second time, after the time zone data had changed, and a record
-- of both counted twice. The period of a month that was stored first stays. A neighbour that was stored later begins,
-- or ends, where it meets it. Totals of billing periods stay as they are: a monthly run corrects them.
create temporary table repaired_periods as
with overlapping as (
    select distinct
        f.time_zone,
        f.anchor_day
    from (
        select
            time_zone,
            anchor_day,
            period_end,
            lead(period_start) over (partition by time_zone, anchor_day order by period_start) as next_start
        from billing_periods
    ) as f
    where f.next_start < f.period_end
),

-- Rows were only ever added: their order in the table is that in which they came.
stored as (
    select
        p.*,
        row_number() over (partition by p.time_zone, p.anchor_day order by p.ctid) as place
    from billing_periods as p
    inner join overlapping as o on p.time_zone = o.time_zone and p.anchor_day = o.anchor_day
),

kept as (
    select distinct on (time_zone, anchor_day, year, month) *
    from stored
    order by time_zone, anchor_day, year, month, place
),

neighbours as (
    select
        k.*,
        lag(k.period_end) over months as before_end,
        lag(k.place) over months as before_place,
        lead(k.period_start) over months as after_start,
        lead(k.place) over months as after_place
    from kept as k
    window months as (partition by k.time_zone, k.anchor_day order by k.year, k.month)
)

select
    time_zone,
    anchor_day,
    case when before_place < place then before_end else period_start end as period_start,
    case when after_place < place then after_start else period_end end as period_end,
    year,
    month
from neighbours;

do $$
declare
    repaired record;
begin
    for repaired in
        select
            p.time_zone,
            p.anchor_day,
            min(format('%s-%s', p.year, lpad(p.month::text, 2, '0'))) as first_month,
            max(format('%s-%s', p.year, lpad(p.month::text, 2, '0'))) as last_month
        from billing_periods as p
        left join repaired_periods as r using (time_zone, anchor_day, period_start, period_end)
        where
            (p.time_zone, p.anchor_day) in (select c.time_zone, c.anchor_day from repaired_periods as c)
            and r.time_zone is null
        group by p.time_zone, p.anchor_day
    loop
        raise warning 'billing periods of % with anchor day % overlapped from % to %, and records may have counted twice; of each month the period that was stored first stays; run `bytemeter batch monthly` for these months, as far as they have records',
            repaired.time_zone, repaired.anchor_day, repaired.first_month, repaired.last_month;
    end loop;
end
$$;

delete from billing_periods
where
    exists (
        select from repaired_periods as r
        where r.time_zone = billing_periods.time_zone and r.anchor_day = billing_periods.anchor_day
    );
insert into billing_periods (time_zone, anchor_day, period_start, period_end, year, month)
select
    time_zone,
    anchor_day,
    period_start,
    period_end,
    year,
    month
from repaired_periods;
-- Ownership spans are made anew when they are needed.
delete from plan_segments
where exists (select from repaired_periods);
drop table repaired_periods;
