-- The manifest of imports.

-- name: begin
-- A row for a content, unless it has one. One that failed is tried again; one of which nothing was sent begins anew, as
-- of the feed and the name that are given now.
insert into imports (file_hash, feed, name, size) values (:file_hash, :feed, :name, :size)
on conflict (file_hash) do update
    set
        feed = case when imports.accepted = 0 and imports.state <> 'done' then excluded.feed else imports.feed end,
        name = case when imports.accepted = 0 and imports.state <> 'done' then excluded.name else imports.name end,
        state = case when imports.state = 'failed' then 'importing' else imports.state end, -- noqa: RF02
        reason = ''
returning feed, name, state, next_line, accepted, invalid, repeated;

-- name: offsets
-- Reads where the lines of a content are on their topic.
select
    partition,
    first_offset,
    last_offset
from import_offsets
where file_hash = :file_hash;

-- name: note
-- How far the content is sent, as Kafka has committed it.
update imports set
    lines = :accepted + :invalid + :repeated,
    accepted = :accepted,
    invalid = :invalid,
    repeated = :repeated,
    next_line = :next_line,
    noted_at = now()
where file_hash = :file_hash;

-- name: note_offsets
-- Widens where the lines of a content are on their topic.
insert into import_offsets (file_hash, partition, first_offset, last_offset)
values (:file_hash, :partition, :first, :last)
on conflict (file_hash, partition) do update set
    first_offset = least(import_offsets.first_offset, excluded.first_offset),
    last_offset = greatest(import_offsets.last_offset, excluded.last_offset);

-- name: end
-- Notes how the import ended.
update imports set state = :state, reason = :reason, noted_at = now()
where file_hash = :file_hash;

-- name: fail
-- A file that cannot be read at all.
insert into imports (file_hash, feed, name, size, state, reason)
values (:file_hash, :feed, :name, :size, 'failed', :reason)
on conflict (file_hash) do nothing;
