-- name: add_devices
-- A row of some 400 bytes for each id.
insert into reference_devices (id, data)
select
    id,
    jsonb_build_object('state', 'Karnataka', 'districtcustom', 'Mysuru', 'description', repeat('x', 300)) as data
from unnest(cast(:ids as text[])) as given (id)
on conflict do nothing;

-- name: add_users
-- A row of some 400 bytes for each id.
insert into reference_users (id, data)
select
    id,
    jsonb_build_object('state', 'Karnataka', 'district', 'Mysuru', 'description', repeat('x', 300)) as data
from unnest(cast(:ids as text[])) as given (id)
on conflict do nothing;

-- name: add_contents
-- A row of some 400 bytes for each id.
insert into reference_contents (id, data)
select
    id,
    jsonb_build_object('name', id, 'board', 'CBSE', 'description', repeat('x', 300)) as data
from unnest(cast(:ids as text[])) as given (id)
on conflict do nothing;
