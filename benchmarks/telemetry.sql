-- name: add_rows
-- A row of some 400 bytes for each id, in one of the reference tables.
insert into reference_table (id, data)
select
    id,
    cast(:known as jsonb) || jsonb_build_object('name', id, 'description', repeat('x', 300)) as data
from unnest(cast(:ids as text[])) as given (id)
on conflict do nothing;
