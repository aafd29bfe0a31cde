-- Threshold events in an order that readers can go on from. A transaction takes numbers of `sequence` when it writes,
-- and may commit later than one that took higher numbers: who goes on behind the highest number that it has seen would
-- miss its events. Positions are given to committed events alone, by one transaction at a time: when a position can be
-- seen, all lower ones can, and none is ever added below it.
alter table threshold_events add column position bigint;
comment on column threshold_events.position is
'given after the commit, in the order in which streams send the events; null for a moment';

update threshold_events set position = numbered.position
from (
    select
        event_id,
        row_number() over (order by sequence) as position
    from threshold_events
) as numbered
where threshold_events.event_id = numbered.event_id;

create unique index threshold_events_position on threshold_events (position);
create index threshold_events_without_position on threshold_events (sequence) where position is null;

-- The last position. Its row is what numbering locks: who reads cannot hold it.
create table last_event_position (
    only_row boolean primary key default true check (only_row),
    position bigint not null
);
insert into last_event_position (position) select coalesce(max(position), 0) from threshold_events;
comment on table last_event_position is 'the highest position of a threshold event';
revoke insert on last_event_position from bytemeter_writer;

create function number_threshold_events() returns void
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    last bigint;
    given bigint;
begin
    if not exists (select from threshold_events where position is null) then
        return;
    end if;
    -- Until the commit. What follows is a statement of its own: it sees all positions given before.
    select position into last from last_event_position for update;
    update threshold_events as e set position = last + waiting.place
    from (
        select
            event_id,
            row_number() over (order by sequence) as place
        from threshold_events
        where position is null
    ) as waiting
    where e.event_id = waiting.event_id;
    get diagnostics given = row_count;
    update last_event_position set position = last + given;
end
$$;
comment on function number_threshold_events is 'gives committed threshold events their positions';

-- Who reads may have events numbered: it changes nothing else, and twice is as good as once.
revoke execute on function number_threshold_events() from public;
grant execute on function number_threshold_events() to bytemeter_reader;
