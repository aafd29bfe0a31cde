-- When hours were last recomputed, and how many wait for it: those with records that no recompute has seen.
select
    feed,
    max(recomputed_at) as last_recompute,
    max(hour) filter (where not dirty) as latest_recomputed_hour,
    count(*) filter (where dirty) as hours_waiting,
    min(hour) filter (where dirty) as oldest_waiting
from hours
group by feed
order by feed;
