-- Invalid records by reason: how many, the longest one's bytes, and the beginning of the latest one as it was received.
select
    latest.feed,
    latest.reason,
    latest.records,
    latest.longest,
    latest.received_at as latest,
    invalid_samples.payload as sample
from (
    select distinct on (feed, reason)
        feed,
        reason,
        partition,
        record_offset,
        received_at,
        count(*) over (partition by feed, reason) as records,
        max(length) over (partition by feed, reason) as longest
    from invalid_events
    order by feed asc, reason asc, received_at desc
) as latest
inner join invalid_samples
    on
        latest.feed = invalid_samples.feed
        and latest.partition = invalid_samples.partition
        and latest.record_offset = invalid_samples.record_offset
order by latest.feed asc, latest.reason asc;
