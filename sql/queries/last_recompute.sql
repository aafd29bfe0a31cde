-- When hours were last recomputed, and how many wait for it: those with records that no recompute has seen.
select
    feed,
    last_recompute,
    latest_recomputed_hour,
    hours_waiting,
    oldest_waiting
from recompute_progress
order by feed;
