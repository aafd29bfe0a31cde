-- name: rows
-- The rows of the reference tables with these ids, by the keys' indexes.
select
    'device' as reference,
    id,
    data::text as data
from reference_devices
where id = any(:device)
union all
select
    'user' as reference,
    id,
    data::text as data
from reference_users
where id = any(:user)
union all
select
    'content' as reference,
    id,
    data::text as data
from reference_contents
where id = any(:content)
union all
select
    'dialcode' as reference,
    id,
    data::text as data
from reference_dialcodes
where id = any(:dialcode)
