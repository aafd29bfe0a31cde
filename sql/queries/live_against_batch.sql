-- Each hour's bytes as the live query counts them and as the last recompute found them.
select
    timestamp,
    live_bytes as live,
    batch_bytes as batch,
    served_from
from live_against_batch
where live_bytes is not null
order by timestamp desc
limit 6;
