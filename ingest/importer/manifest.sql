-- The manifest of imports.

-- name: begin
-- A row for a content, unless it has one. One that failed is tried again.
insert into imports (file_hash, feed, name, size) values (:file_hash, :feed, :name, :size)
on conflict (file_hash) do update
    set
        state = case when imports.state = 'failed' then 'importing' else imports.state end, -- noqa: RF02
        reason = ''
returning feed, name, state, next_line, lines, accepted, invalid, repeated;

-- name: note
-- Adds what was acknowledged.
update imports set
    lines = lines + :accepted + :invalid + :repeated,
    accepted = accepted + :accepted,
    invalid = invalid + :invalid,
    repeated = repeated + :repeated,
    next_line = :next_line,
    noted_at = now()
where file_hash = :file_hash;

-- name: note_offsets
insert into import_offsets (file_hash, partition, first_offset, last_offset)
values (:file_hash, :partition, :first, :last)
on conflict (file_hash, partition) do update set
    first_offset = least(import_offsets.first_offset, excluded.first_offset),
    last_offset = greatest(import_offsets.last_offset, excluded.last_offset);

-- name: end
-- Notes how the import ended; returns its counts.
update imports set state = :state, reason = :reason, noted_at = now()
where file_hash = :file_hash
returning lines, accepted, invalid, repeated;

-- name: fail
-- A file that cannot be read at all.
insert into imports (file_hash, feed, name, size, state, reason)
values (:file_hash, :feed, :name, :size, 'failed', :reason)
on conflict (file_hash) do nothing;
