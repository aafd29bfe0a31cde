-- Crossings of 50, 80 and 100 % of 1 GiB, the smallest limit of the simulated plans: all MSISDNs have this limit, in one
-- period without end. Data records are deduplicated by id.
insert into crossings
with used as (
    select
        msisdn,
        id,
        recordedBytes,
        sum(recordedBytes) over (
            partition by msisdn order by arrived rows between unbounded preceding and current row
        ) as total
    from (
        select
            *,
            count(*) over (
                partition by id order by arrived rows between unbounded preceding and current row
            ) as occurrence
        from records
        where regexp(msisdn, '^[0-9]{1,15}$')
            and recordedBytes between 0 and 1099511627776
            and char_length(id) between 1 and 512
    )
    where occurrence = 1
)
select msisdn, id, total, 536870912 from used where total >= 536870912 and total - recordedBytes < 536870912
union all
select msisdn, id, total, 858993459 from used where total >= 858993459 and total - recordedBytes < 858993459
union all
select msisdn, id, total, 1073741824 from used where total >= 1073741824 and total - recordedBytes < 1073741824
