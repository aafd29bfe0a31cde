-- Live totals, each upserted whenever it changes. No record is dropped, however late it comes.
insert into totals
select
    `type`,
    id,
    `timestamp` - mod(`timestamp`, 300),
    sum(`bytes`)
from measured
group by `type`, id, `timestamp` - mod(`timestamp`, 300)
