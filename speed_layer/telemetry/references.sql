-- name: rows
-- The rows of the reference tables with these ids, given as JSON arrays, by the keys' indexes.
select
    'device' as reference,
    id,
    cast(data as text) as data
from reference_devices
where id = any(array(select jsonb_array_elements_text(cast(:device as jsonb))))
union all
select
    'user' as reference,
    id,
    cast(data as text) as data
from reference_users
where id = any(array(select jsonb_array_elements_text(cast(:user as jsonb))))
union all
select
    'content' as reference,
    id,
    cast(data as text) as data
from reference_contents
where id = any(array(select jsonb_array_elements_text(cast(:content as jsonb))))
union all
select
    'dialcode' as reference,
    id,
    cast(data as text) as data
from reference_dialcodes
where id = any(array(select jsonb_array_elements_text(cast(:dialcode as jsonb))))
