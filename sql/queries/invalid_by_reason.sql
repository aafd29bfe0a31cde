-- Invalid records by reason, with the beginning of the latest one of each as it was received.
select distinct on (feed, reason)
    feed,
    reason,
    count(*) over (partition by feed, reason) as records,
    received_at as latest,
    payload as sample
from invalid_samples
order by feed asc, reason asc, received_at desc;
