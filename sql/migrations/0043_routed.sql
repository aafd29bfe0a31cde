-- Live queries that send messages on: decided in the transaction that counts, sent after it by a transaction of Kafka.
-- How far that has come is the greater of Kafka's group and this table: Kafka forgets groups.
create table routed (
    feed text not null,
    partition integer not null,
    next_offset bigint not null,
    routed_at timestamptz not null default now(),
    primary key (feed, partition)
);
comment on table routed is 'the offset of each partition up to which what was counted has been sent on';

create table routed_messages (
    feed text not null,
    topic text not null,
    messages bigint not null,
    primary key (feed, topic)
);
comment on table routed_messages is 'messages that a feed''s records became, by the topic to which they go';
comment on column routed_messages.topic is 'without the topic prefix';
grant select, insert, update on routed, routed_messages to bytemeter_writer;

-- What was counted and not sent is read again, with the decisions that stand here.
grant select on duplicate_events, invalid_events to bytemeter_writer;

create view routing_status as
select
    ledger.feed,
    ledger.partition,
    ledger.next_offset,
    coalesce(routed.next_offset, 0) as routed_offset,
    greatest(ledger.next_offset - coalesce(routed.next_offset, 0), 0) as waiting,
    routed.routed_at,
    ledger.updated_at as counted_at
from ledger
inner join routed on ledger.feed = routed.feed and ledger.partition = routed.partition;
comment on view routing_status is 'messages of each partition that are counted and not sent on yet';
revoke all on routing_status from bytemeter_writer;
grant select on routing_status to bytemeter_writer;
