-- Asked for UTC alone they are immutable through and through: PostgreSQL puts them into its plans, and calls nothing.
create or replace function to_us(instant timestamptz) returns bigint
language sql immutable parallel safe
return (extract(epoch from instant at time zone 'UTC') * 1000000)::bigint;

-- Seconds apart, so that no number on the way is larger than a double precision holds.
create or replace function from_us(us bigint) returns timestamptz
language sql immutable parallel safe
return (
    timestamp 'epoch' + us / 1000000 * interval '1 second' + us % 1000000 * interval '1 microsecond'
) at time zone 'UTC';
