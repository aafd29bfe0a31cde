-- Of an invalid message only the beginning is kept here, with the length and the digest of the whole value. The whole
-- value is in the history of invalid messages.
alter table invalid_events add column length bigint, add column digest bytea;
update invalid_events set length = octet_length(payload), digest = sha256(payload);
comment on column invalid_events.payload is
'the value as received, at most its first BYTEMETER_INVALID_PAYLOAD_BYTES bytes; null for a tombstone';
comment on column invalid_events.length is 'bytes of the whole value; null for a tombstone';
comment on column invalid_events.digest is 'SHA-256 of the whole value; null for a tombstone';

create or replace view invalid_samples as
select
    received_at,
    feed,
    reason,
    left(encode(substring(payload for 200), 'escape'), 200) as payload,
    partition,
    record_offset,
    replayed_at,
    length,
    encode(digest, 'hex') as digest
from invalid_events;
