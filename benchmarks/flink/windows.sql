-- Live totals by windows, each upserted once: when the watermark passes its end. Records that come later are dropped.
insert into totals
select
    `type`,
    id,
    cast(timestampdiff(second, timestamp '1970-01-01 00:00:00', window_start) as bigint),
    sum(`bytes`)
from table(tumble(table measured, descriptor(event_time), interval '5' minutes))
group by window_start, window_end, `type`, id
