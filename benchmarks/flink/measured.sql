-- The bytes of each valid record of devices, once for each dimension. Invalid records are left out as in our live query,
-- as far as SQL sees them: Flink's JSON reader accepts some messages that ours refuses, such as a number in quotes.
create temporary view measured as
select
    dimension.`type`,
    -- It is never null, but Flink's planner takes the column of a view for nullable.
    coalesce(dimension.id, '') as id,
    `timestamp`,
    event_time,
    `bytes`
from devices
cross join unnest(array[
    row('antenna_bytes_total', antenna_id), row('app_bytes_total', app), row('user_bytes_total', devices.id)
]) as dimension (`type`, id)
where `bytes` between 0 and 1099511627776
    and `timestamp` between 946684800 and unix_timestamp() + 86400
    -- PostgreSQL takes no NUL in a text.
    and char_length(antenna_id) between 1 and 512 and position(u&'\0000' in antenna_id) = 0
    and char_length(app) between 1 and 512 and position(u&'\0000' in app) = 0
    and char_length(devices.id) between 1 and 512 and position(u&'\0000' in devices.id) = 0
