-- Failed messages are sent again: a message that is about to be sent bears the number of its transaction, which Kafka
-- commits together with the messages. So a later replay knows of each whether it was sent.
alter table invalid_events add column replay bigint;
comment on column invalid_events.replay is
'the number of the transaction of Kafka that sends or has sent the message again; null before that';
comment on column invalid_events.replayed_at is 'when the message was sent again; null before that';
create index invalid_events_replay on invalid_events (feed, replay) where replay is not null and replayed_at is null;
grant update on invalid_events to bytemeter_writer;
