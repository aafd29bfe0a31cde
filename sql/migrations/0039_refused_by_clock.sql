-- What a live query refused because it seemed to come from the future: by a right clock some of it does not any more,
-- or never did. These records are well-formed, and the history has them.
create view refused_by_clock as
select
    feed,
    partition,
    record_offset,
    event_time as countable_at,
    received_at,
    replayed_at
from invalid_events
where event_time is not null;
comment on view refused_by_clock is
'records that were refused because they were ahead of the clock of an executor; countable_at, their event time, is when
no clock that is right refuses them any more: what lies before now() and was not replayed can be counted after all';
revoke all on refused_by_clock from bytemeter_writer;
