-- Columns that commands to come will write.
comment on column ledger.voids is 'messages that take back earlier records; nothing writes it yet, it is 0';
comment on column invalid_events.replayed_at is 'when the message was sent again; nothing writes it yet, it is null';
