-- name: temporary_tables
-- The temporary tables of the session that counts. Each transaction leaves them empty.

-- MSISDNs whose ownership spans are read, with the first and the last event time of their records.
-- Written and read by owners.py.
create temporary table asked_msisdns (
    msisdn_key bigint not null,
    msisdn text collate "C" not null,
    first_us bigint not null,
    last_us bigint not null
) on commit delete rows;

-- Data records that PostgreSQL looks at one by one; event_us in microseconds since 1970. The usage_id of a record is
-- that of its billing period, null until it was found.
-- Written by one_by_one.py: records of MSISDNs whose owner is not known or not the same for all of them; and by
-- crossings.py: the other records of periods that reach a threshold. Read by both.
create temporary table single_records (
    partition integer not null,
    record_offset bigint not null,
    msisdn text collate "C" not null,
    event_us bigint not null,
    internal_id text collate "C" not null,
    bytes bigint not null,
    usage_id bigint
) on commit delete rows;

-- Of those, the MSISDNs with records whose billing period was not found.
create temporary view msisdns_without_period as
select
    msisdn,
    min(event_us) as first_us,
    max(event_us) as last_us
from single_records
where usage_id is null
group by msisdn;

-- What is added to billing periods: the bytes of a period's records, and the latest of these.
-- Written by together.py, and by one_by_one.py as one_by_one. Read by additions.py.
create temporary table additions (
    usage_id bigint not null,
    one_by_one boolean not null,
    bytes bigint not null,
    latest_at timestamptz not null,
    latest_record text collate "C" not null
) on commit delete rows;
