-- The schema of the database, as all migrations of sql/migrations together make it: to be read, not to be run.
-- Written by: make schema


CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA public;

COMMENT ON EXTENSION btree_gist IS 'support for indexing common datatypes in GiST';

CREATE FUNCTION public.agreement_terms(agreement text, ends_at timestamp with time zone) RETURNS TABLE(max_bytes bigint, thresholds integer[])
    LANGUAGE sql STABLE
    AS $$
    select v.max_bytes_in_billing_period, v.thresholds
    from agreement_versions as v
    where
        v.id = agreement
        and v.effective_from < v.holds_until
        and (v.effective_from < ends_at or v.given_from is null)
    order by v.effective_from desc
    limit 1
$$;

COMMENT ON FUNCTION public.agreement_terms(agreement text, ends_at timestamp with time zone) IS 'limit and thresholds of a billing period that ends at an instant and is not closed: of the last version that begins to
hold before; a version without effectiveFrom counts at once, for earlier periods, too';

CREATE FUNCTION public.drop_seen_generation(dropped integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
    execute format('drop table if exists seen_ids_%s', dropped);
    delete from seen_segments where generation = dropped;
    delete from seen_generations where generation = dropped;
end
$$;

COMMENT ON FUNCTION public.drop_seen_generation(dropped integer) IS 'drops the table of a generation, with its segments';

CREATE FUNCTION public.from_us(us bigint) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((('1970-01-01 00:00:00'::timestamp without time zone + (((us / 1000000))::double precision * '00:00:01'::interval)) + (((us % (1000000)::bigint))::double precision * '00:00:00.000001'::interval)) AT TIME ZONE 'UTC'::text);

CREATE FUNCTION public.is_reached(total bigint, threshold_bytes bigint) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (total >= threshold_bytes);

COMMENT ON FUNCTION public.is_reached(total bigint, threshold_bytes bigint) IS 'whether a total reaches a threshold; null where there is no total: the period has no record';

CREATE FUNCTION public.keep_issued_events() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    if exists (
        select from changed
        inner join invoices on changed.number = invoices.number
        where invoices.state <> 'draft'
    ) then
        raise exception 'the events of a line that is not a draft stay as they are'
            using errcode = 'integrity_constraint_violation';
    end if;
    return null;
end
$$;

CREATE FUNCTION public.keep_issued_lines() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    raise exception 'the line % is % and stays as it is; an amendment changes what is owed', old.number, old.state
        using errcode = 'integrity_constraint_violation';
end
$$;

CREATE FUNCTION public.next_threshold(thresholds integer[], max_bytes bigint, total bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    select min(t.threshold_bytes)
    from thresholds_in_bytes(thresholds, max_bytes) as t
    where is_reached(total, t.threshold_bytes) is not true
$$;

COMMENT ON FUNCTION public.next_threshold(thresholds integer[], max_bytes bigint, total bigint) IS 'the least threshold that the total does not reach, null if it reaches all; a null total, of no record, reaches none';

CREATE FUNCTION public.number_threshold_events() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
declare
    last bigint;
    given integer;
begin
    if not exists (select from threshold_events where position is null) then
        return 0;
    end if;
    -- Until the commit. What follows is a statement of its own: it sees all positions given before.
    select position into last from last_event_position for update;
    update threshold_events as e set position = last + waiting.place
    from (
        select
            event_id,
            row_number() over (order by sequence) as place
        from (
            select
                event_id,
                sequence
            from threshold_events
            where position is null
            order by sequence
            limit 10000
        ) as first_ones
    ) as waiting
    where e.event_id = waiting.event_id;
    get diagnostics given = row_count;
    update last_event_position set position = last + given;
    return given;
end
$$;

COMMENT ON FUNCTION public.number_threshold_events() IS 'gives at most 10,000 committed threshold events their positions; returns how many';

CREATE FUNCTION public.open_periods(agreement_ids text[], starts timestamp with time zone[]) RETURNS void
    LANGUAGE sql
    AS $$
    insert into data_plan_usage (
        agreement_id, period_start, period_end, year, month, billing_period_time_zone, max_bytes_in_billing_period,
        thresholds, next_threshold_bytes
    )
    select
        opened.agreement_id,
        p.period_start,
        p.period_end,
        p.year,
        p.month,
        p.time_zone,
        t.max_bytes,
        t.thresholds,
        next_threshold(t.thresholds, t.max_bytes, null)
    from unnest(agreement_ids, starts) as opened (agreement_id, period_start)
    cross join lateral (
        select b.*
        from agreement_services as s
        inner join billing_periods as b
            on
                b.time_zone = any(array[s.billing_period_time_zone])
                and b.anchor_day = any(array[s.anchor_day])
                and b.period_start = opened.period_start
                and b.period_end > s.served_from
        where s.agreement_id = any(array[opened.agreement_id]) and s.served_until > opened.period_start
        order by s.served_from
        limit 1
    ) as p
    cross join lateral agreement_terms(opened.agreement_id, p.period_end) as t
    on conflict do nothing
$$;

COMMENT ON FUNCTION public.open_periods(agreement_ids text[], starts timestamp with time zone[]) IS 'opens billing periods, with 0 bytes and no threshold reached; periods that exist stay as they are';

CREATE FUNCTION public.round_half_even(amount numeric, decimals integer) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN round((round(amount, decimals) - CASE WHEN ((((abs((amount - trunc(amount, decimals))) * (2)::numeric) * power((10)::numeric, (decimals)::numeric)) = (1)::numeric) AND (mod((abs(trunc(amount, decimals)) * power((10)::numeric, (decimals)::numeric)), (2)::numeric) = (0)::numeric)) THEN (sign(amount) * power((10)::numeric, ((- decimals))::numeric)) ELSE (0)::numeric END), decimals);

COMMENT ON FUNCTION public.round_half_even(amount numeric, decimals integer) IS 'rounds to the nearest, and halves to the even neighbour';

CREATE FUNCTION public.seen_generation(of_feed text, of_era integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
declare
    made integer;
begin
    insert into seen_generations (feed, era) values (of_feed, of_era)
    on conflict (feed, era) do nothing
    returning generation into made;
    if made is null then
        return (select generation from seen_generations where feed = of_feed and era = of_era);
    end if;
    -- Nothing in it is ever updated or deleted: there is nothing to vacuum.
    execute format('create table seen_ids_%s (like seen_ids including all) with (autovacuum_enabled = off)', made);
    return made;
end
$$;

COMMENT ON FUNCTION public.seen_generation(of_feed text, of_era integer) IS 'the generation of a feed and an era; makes its table at first';

CREATE FUNCTION public.short_id(id text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN replace(id, '00000000-0000-0000-0000-00000000'::text, '…'::text);

COMMENT ON FUNCTION public.short_id(id text) IS 'an id for people: different ids stay different';

CREATE FUNCTION public.threshold_bytes(percent integer, max_bytes bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (((percent * max_bytes) + 99) / 100);

COMMENT ON FUNCTION public.threshold_bytes(percent integer, max_bytes bigint) IS 'the least total of which so many percent of the limit are reached';

CREATE FUNCTION public.thresholds_in_bytes(percents integer[], max_bytes bigint) RETURNS TABLE(percent integer, threshold_bytes bigint)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    select p.percent, threshold_bytes(p.percent, max_bytes) from unnest(percents) as p (percent)
$$;

COMMENT ON FUNCTION public.thresholds_in_bytes(percents integer[], max_bytes bigint) IS 'the thresholds of a limit: percent, and the least total that reaches it';

CREATE FUNCTION public.to_us(instant timestamp with time zone) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((EXTRACT(epoch FROM (instant AT TIME ZONE 'UTC'::text)) * (1000000)::numeric))::bigint;

CREATE TABLE public.agreement_services (
    msisdn text NOT NULL COLLATE pg_catalog."C",
    served_from timestamp with time zone NOT NULL,
    served_until timestamp with time zone NOT NULL,
    agreement_id text NOT NULL COLLATE pg_catalog."C",
    billing_period_time_zone text NOT NULL COLLATE pg_catalog."C",
    anchor_day smallint NOT NULL,
    CONSTRAINT agreement_services_check CHECK ((served_from < served_until))
);

COMMENT ON TABLE public.agreement_services IS 'internal: in [served_from, served_until) the records of an MSISDN belong to one agreement, in one calendar';

CREATE TABLE public.agreement_versions (
    id text NOT NULL COLLATE pg_catalog."C",
    effective_from timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL,
    holds_until timestamp with time zone NOT NULL,
    given_from timestamp with time zone,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    msisdn text NOT NULL COLLATE pg_catalog."C",
    signed_at timestamp with time zone NOT NULL,
    service_start_at timestamp with time zone NOT NULL,
    billing_period_time_zone text NOT NULL COLLATE pg_catalog."C",
    max_bytes_in_billing_period bigint NOT NULL,
    thresholds integer[] NOT NULL,
    anchor_day smallint NOT NULL,
    service_end_at timestamp with time zone,
    CONSTRAINT agreement_versions_anchor_day_check CHECK (((anchor_day >= 1) AND (anchor_day <= 31))),
    CONSTRAINT agreement_versions_check CHECK ((effective_from <= holds_until)),
    CONSTRAINT agreement_versions_max_bytes_in_billing_period_check CHECK ((max_bytes_in_billing_period >= 0))
);

COMMENT ON TABLE public.agreement_versions IS 'each message of an agreement; the one with the latest effective_from at or before an instant holds then';

COMMENT ON COLUMN public.agreement_versions.received_at IS 'when Kafka received the message';

COMMENT ON COLUMN public.agreement_versions.holds_until IS 'when the next version begins to hold; where it is effective_from, another message has taken its place';

COMMENT ON COLUMN public.agreement_versions.given_from IS 'effectiveFrom of the message; null if it has none';

COMMENT ON COLUMN public.agreement_versions.service_end_at IS 'from when on the agreement owns no records, as long as this version holds; null if it was not cancelled';

CREATE TABLE public.agreements (
    id text NOT NULL COLLATE pg_catalog."C",
    msisdn text NOT NULL COLLATE pg_catalog."C",
    signed_at timestamp with time zone NOT NULL,
    service_start_at timestamp with time zone NOT NULL,
    billing_period_time_zone text NOT NULL COLLATE pg_catalog."C",
    max_bytes_in_billing_period bigint NOT NULL,
    thresholds integer[] NOT NULL,
    anchor_day smallint NOT NULL,
    arrived_at timestamp with time zone DEFAULT now() NOT NULL,
    service_end_at timestamp with time zone,
    CONSTRAINT agreements_anchor_day_check CHECK (((anchor_day >= 1) AND (anchor_day <= 31))),
    CONSTRAINT agreements_max_bytes_in_billing_period_check CHECK ((max_bytes_in_billing_period >= 0))
);

COMMENT ON COLUMN public.agreements.thresholds IS 'percents of the limit, ascending; 100 is always one';

COMMENT ON COLUMN public.agreements.service_end_at IS 'from when on it owns no records, as its last version says; null if it was not cancelled';

CREATE TABLE public.bytes (
    type text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    "timestamp" timestamp with time zone NOT NULL,
    value bigint NOT NULL
)
WITH (fillfactor='70');

COMMENT ON TABLE public.bytes IS 'live: bytes per window of five minutes; timestamp is the start of the window';

CREATE TABLE public.bytes_hourly (
    type text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    "timestamp" timestamp with time zone NOT NULL,
    value bigint NOT NULL
);

COMMENT ON TABLE public.bytes_hourly IS 'batch: bytes per hour, recomputed from the history; timestamp is the start of the hour';

CREATE TABLE public.hours (
    feed text NOT NULL,
    hour timestamp with time zone NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    recomputed_version bigint,
    recomputed_at timestamp with time zone,
    dirty boolean GENERATED ALWAYS AS ((COALESCE(recomputed_version, (0)::bigint) < version)) STORED NOT NULL,
    dirty_since timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON COLUMN public.hours.dirty_since IS 'since when records of a dirty hour wait for a recompute';

CREATE TABLE public.ledger (
    feed text NOT NULL,
    partition integer NOT NULL,
    topic_id text NOT NULL,
    next_offset bigint NOT NULL,
    received bigint DEFAULT 0 NOT NULL,
    counted bigint DEFAULT 0 NOT NULL,
    duplicate bigint DEFAULT 0 NOT NULL,
    invalid bigint DEFAULT 0 NOT NULL,
    unmatched bigint DEFAULT 0 NOT NULL,
    voids bigint DEFAULT 0 NOT NULL,
    latest_event_time timestamp with time zone,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    identity_horizon timestamp with time zone,
    behind_horizon bigint DEFAULT 0 NOT NULL,
    CONSTRAINT ledger_behind_horizon_check CHECK ((behind_horizon >= 0)),
    CONSTRAINT ledger_check CHECK ((received = ((((counted + duplicate) + invalid) + unmatched) + voids)))
);

COMMENT ON COLUMN public.ledger.voids IS 'messages that take back earlier records; nothing writes it yet, it is 0';

COMMENT ON COLUMN public.ledger.identity_horizon IS 'records of earlier event hours are not deduplicated live; it never moves back; null: all are';

COMMENT ON COLUMN public.ledger.behind_horizon IS 'records behind the identity horizon: received and not deduplicated live; a recompute removes duplicates';

CREATE VIEW public.usage_hourly_live AS
 WITH open_hours AS (
         SELECT hours.hour,
            ( SELECT max(ledger.updated_at) AS max
                   FROM public.ledger
                  WHERE (ledger.feed = hours.feed)) AS as_of
           FROM public.hours
          WHERE ((hours.feed = 'devices'::text) AND hours.dirty)
        )
 SELECT windows.type,
    windows.id,
    open_hours.hour AS "timestamp",
    windows.value,
    open_hours.as_of
   FROM (open_hours
     CROSS JOIN LATERAL ( SELECT bytes.type,
            bytes.id,
            (sum(bytes.value))::bigint AS value
           FROM public.bytes
          WHERE ((bytes.type = ANY (ARRAY['antenna_bytes_total'::text, 'app_bytes_total'::text, 'user_bytes_total'::text])) AND (bytes."timestamp" >= open_hours.hour) AND (bytes."timestamp" < (open_hours.hour + '01:00:00'::interval)))
          GROUP BY bytes.type, bytes.id) windows);

CREATE TABLE public.user_metadata (
    id text NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    quota bigint NOT NULL,
    CONSTRAINT user_metadata_quota_check CHECK ((quota >= 0))
);

COMMENT ON COLUMN public.user_metadata.quota IS 'bytes per hour';

CREATE VIEW public.usage_hourly AS
 SELECT bytes_hourly.type,
    bytes_hourly.id,
    bytes_hourly."timestamp",
    bytes_hourly.value,
    'batch'::text AS source,
    hours.recomputed_at AS as_of
   FROM (public.bytes_hourly
     JOIN public.hours ON (((hours.feed = 'devices'::text) AND (bytes_hourly."timestamp" = hours.hour) AND (NOT hours.dirty))))
UNION ALL
 SELECT usage_hourly_live.type,
    usage_hourly_live.id,
    usage_hourly_live."timestamp",
    usage_hourly_live.value,
    'live'::text AS source,
    usage_hourly_live.as_of
   FROM public.usage_hourly_live
UNION ALL
 SELECT 'email_bytes_total'::text AS type,
    user_metadata.email AS id,
    usage_hourly_live."timestamp",
    usage_hourly_live.value,
    'live'::text AS source,
    usage_hourly_live.as_of
   FROM (public.usage_hourly_live
     JOIN public.user_metadata ON ((usage_hourly_live.id = user_metadata.id)))
  WHERE (usage_hourly_live.type = 'user_bytes_total'::text);

COMMENT ON VIEW public.usage_hourly IS 'bytes per hour, from batch or live as source tells, as of as_of';

CREATE VIEW public.antenna_hours AS
 SELECT "timestamp",
    id AS antenna_id,
    public.short_id(id) AS antenna,
    value AS bytes,
    source,
    as_of
   FROM public.usage_hourly
  WHERE (type = 'antenna_bytes_total'::text);

COMMENT ON VIEW public.antenna_hours IS 'bytes per antenna and hour, from batch or live as source tells';

CREATE TABLE public.billable_monthly (
    month timestamp with time zone NOT NULL,
    dimension text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    total numeric NOT NULL
)
WITH (fillfactor='70');

COMMENT ON TABLE public.billable_monthly IS 'live, corrected by each monthly recompute: euros per calendar month, unrounded';

COMMENT ON COLUMN public.billable_monthly.month IS 'the first instant of the month in the billing zone';

COMMENT ON COLUMN public.billable_monthly.dimension IS 'customer, type, or customer_type: then id is both, e.g. Charlie/CALL, with % and / of a customer as %25 and %2F';

CREATE TABLE public.billable_recomputes (
    month timestamp with time zone NOT NULL,
    as_of timestamp with time zone NOT NULL,
    corrected bigint NOT NULL
);

COMMENT ON TABLE public.billable_recomputes IS 'batch: the last recompute of each month of billable events';

COMMENT ON COLUMN public.billable_recomputes.as_of IS 'billable_recomputed has what was counted until then';

COMMENT ON COLUMN public.billable_recomputes.corrected IS 'how many live totals it has corrected';

CREATE TABLE public.billing_zone (
    zone text NOT NULL,
    noted_at timestamp with time zone DEFAULT now() NOT NULL,
    the_only_row boolean DEFAULT true NOT NULL,
    CONSTRAINT billing_zone_the_only_row_check CHECK (the_only_row)
);

COMMENT ON TABLE public.billing_zone IS 'the time zone of billing months, noted when the first event is counted: months that are stored never move';

CREATE VIEW public.billable_by_month AS
 SELECT to_char((billable_monthly.month AT TIME ZONE billing_zone.zone), 'YYYY-MM'::text) AS month,
    billable_monthly.dimension,
    billable_monthly.id,
    public.round_half_even(billable_monthly.total, 2) AS total_eur,
    billable_monthly.total,
    (public.round_half_even(billable_monthly.total, 2) - billable_monthly.total) AS rounding,
    billable_monthly.month AS month_start,
    ( SELECT max(ledger.updated_at) AS max
           FROM public.ledger
          WHERE (ledger.feed = 'billable-events'::text)) AS as_of,
    billable_recomputes.as_of AS recomputed_at,
    (to_char((billable_monthly.month AT TIME ZONE billing_zone.zone), 'YYYY-MM'::text) = to_char((now() AT TIME ZONE billing_zone.zone), 'YYYY-MM'::text)) AS running
   FROM ((public.billable_monthly
     CROSS JOIN public.billing_zone)
     LEFT JOIN public.billable_recomputes ON ((billable_monthly.month = billable_recomputes.month)));

COMMENT ON VIEW public.billable_by_month IS 'euros per month of the billing zone, rounded half even; total is exact, rounding what was added to show it';

CREATE TABLE public.billable_hourly (
    dimension text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    "timestamp" timestamp with time zone NOT NULL,
    total numeric NOT NULL
);

COMMENT ON TABLE public.billable_hourly IS 'batch: euros per hour, recomputed from the history, unrounded; timestamp is the start of the hour (UTC)';

CREATE TABLE public.billable_recomputed (
    month timestamp with time zone NOT NULL,
    dimension text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    total numeric NOT NULL
);

COMMENT ON TABLE public.billable_recomputed IS 'batch: euros per month as the last monthly recompute found them, unrounded';

CREATE VIEW public.billable_live_against_batch AS
 SELECT COALESCE(live.month, batch.month) AS month,
    COALESCE(live.dimension, batch.dimension) AS dimension,
    COALESCE(live.id, batch.id) AS id,
    live.total AS live,
    batch.total AS batch,
    (COALESCE(batch.total, (0)::numeric) - COALESCE(live.total, (0)::numeric)) AS delta,
    recomputes.as_of AS recomputed_at
   FROM ((public.billable_monthly live
     FULL JOIN public.billable_recomputed batch ON (((live.month = batch.month) AND (live.dimension = batch.dimension) AND (live.id = batch.id))))
     JOIN public.billable_recomputes recomputes ON ((COALESCE(live.month, batch.month) = recomputes.month)))
  WHERE (live.total IS DISTINCT FROM batch.total);

COMMENT ON VIEW public.billable_live_against_batch IS 'totals of recomputed months that differ from the last recompute: by events that were counted since';

CREATE TABLE public.billing_calendars (
    time_zone text NOT NULL COLLATE pg_catalog."C",
    anchor_day smallint NOT NULL,
    first_year integer NOT NULL,
    last_year integer NOT NULL
);

CREATE TABLE public.billing_months (
    month timestamp with time zone NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    billed_version bigint DEFAULT 0 NOT NULL,
    dirty boolean GENERATED ALWAYS AS ((billed_version < version)) STORED NOT NULL,
    dirty_since timestamp with time zone DEFAULT now() NOT NULL
)
WITH (fillfactor='70');

COMMENT ON TABLE public.billing_months IS 'billing months with events; a dirty one has events that no monthly run has seen';

COMMENT ON COLUMN public.billing_months.month IS 'the first instant of the month in the billing zone';

COMMENT ON COLUMN public.billing_months.version IS 'grows with each micro-batch that counts an event of the month';

COMMENT ON COLUMN public.billing_months.billed_version IS 'the version that the last monthly run has seen';

COMMENT ON COLUMN public.billing_months.dirty_since IS 'since when events of a dirty month wait for a run';

CREATE TABLE public.billing_periods (
    time_zone text NOT NULL COLLATE pg_catalog."C",
    anchor_day smallint NOT NULL,
    period_start timestamp with time zone NOT NULL,
    period_end timestamp with time zone NOT NULL,
    year integer NOT NULL,
    month integer NOT NULL,
    CONSTRAINT billing_periods_end_after_their_start CHECK ((period_start < period_end))
);

CREATE VIEW public.busiest_antennas AS
 SELECT DISTINCT ON ("timestamp") "timestamp",
    antenna_id,
    antenna,
    bytes,
    round(((100.0 * (bytes)::numeric) / NULLIF(sum(bytes) OVER (PARTITION BY "timestamp"), (0)::numeric)), 1) AS percent_of_hour,
    source,
    as_of
   FROM public.antenna_hours
  ORDER BY "timestamp", bytes DESC, antenna_id;

COMMENT ON VIEW public.busiest_antennas IS 'the antenna with the most bytes of each hour, and its share of that hour';

CREATE TABLE public.bytes_monthly (
    type text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    "timestamp" timestamp with time zone NOT NULL,
    value bigint NOT NULL
);

COMMENT ON TABLE public.bytes_monthly IS 'batch: bytes per calendar month (UTC), recomputed from the history; timestamp is the start of the month';

CREATE TABLE public.data_plan_usage (
    agreement_id text NOT NULL COLLATE pg_catalog."C",
    period_start timestamp with time zone NOT NULL,
    period_end timestamp with time zone NOT NULL,
    year integer NOT NULL,
    month integer NOT NULL,
    total_recorded_bytes bigint DEFAULT 0 NOT NULL,
    latest_recorded_at timestamp with time zone,
    latest_internal_record_id text COLLATE pg_catalog."C",
    status text DEFAULT 'open'::text NOT NULL,
    next_threshold_bytes bigint,
    amendments integer DEFAULT 0 NOT NULL,
    usage_id bigint NOT NULL,
    billing_period_time_zone text NOT NULL COLLATE pg_catalog."C",
    max_bytes_in_billing_period bigint NOT NULL,
    thresholds integer[] NOT NULL,
    CONSTRAINT data_plan_usage_max_bytes_in_billing_period_check CHECK ((max_bytes_in_billing_period >= 0)),
    CONSTRAINT data_plan_usage_status_check CHECK ((status = ANY (ARRAY['open'::text, 'closed'::text])))
)
WITH (fillfactor='70');

COMMENT ON COLUMN public.data_plan_usage.next_threshold_bytes IS 'the least threshold above the total; null if none is left';

COMMENT ON COLUMN public.data_plan_usage.amendments IS 'how many amendments and corrections were emitted: the last ordinal';

COMMENT ON COLUMN public.data_plan_usage.usage_id IS 'stands for (agreement_id, period_start)';

COMMENT ON COLUMN public.data_plan_usage.max_bytes_in_billing_period IS 'the limit by which the period is judged; of a closed period it does not change any more';

COMMENT ON COLUMN public.data_plan_usage.thresholds IS 'percents of the limit, ascending; 100 is always one';

ALTER TABLE public.data_plan_usage ALTER COLUMN usage_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.data_plan_usage_usage_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.invoices (
    number text NOT NULL COLLATE pg_catalog."C",
    invoice text NOT NULL COLLATE pg_catalog."C",
    month text NOT NULL,
    customer text NOT NULL COLLATE pg_catalog."C",
    type text NOT NULL COLLATE pg_catalog."C",
    total numeric DEFAULT 0 NOT NULL,
    events bigint DEFAULT 0 NOT NULL,
    state text DEFAULT 'draft'::text NOT NULL,
    digest text DEFAULT ''::text NOT NULL,
    amends text COLLATE pg_catalog."C",
    reason text,
    made_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT invoices_check CHECK (((amends IS NULL) = (reason IS NULL))),
    CONSTRAINT invoices_check1 CHECK (((state <> 'amended'::text) OR (amends IS NOT NULL))),
    CONSTRAINT invoices_month_check CHECK ((month ~ '^\d{4}-\d{2}$'::text)),
    CONSTRAINT invoices_state_check CHECK ((state = ANY (ARRAY['draft'::text, 'final'::text, 'amended'::text])))
);

COMMENT ON TABLE public.invoices IS 'lines of invoices and of their amendments; all but drafts are kept as they are; see docs/billing.md';

COMMENT ON COLUMN public.invoices.number IS 'of the line: the invoice and the type, e.g. 2026-11-000003-CALL';

COMMENT ON COLUMN public.invoices.invoice IS 'of the invoice, e.g. 2026-11-000003; of its amendments 2026-11-000003-A1 …';

COMMENT ON COLUMN public.invoices.total IS 'euros, unrounded; of an amendment the difference that its events make';

COMMENT ON COLUMN public.invoices.state IS 'draft: made anew by each run; final: made after the grace; amended: an amendment, which leaves the invoice as it is';

COMMENT ON COLUMN public.invoices.digest IS 'SHA-256 over the events of the line, in hexadecimal; see docs/billing.md';

COMMENT ON COLUMN public.invoices.amends IS 'the invoice that an amendment is to';

CREATE VIEW public.dirty_months AS
 SELECT m.month,
    to_char((m.month AT TIME ZONE z.zone), 'YYYY-MM'::text) AS name,
    ((date_trunc('month'::text, (m.month AT TIME ZONE z.zone)) + '1 mon'::interval) AT TIME ZONE z.zone) AS ends_at,
    m.dirty_since
   FROM (public.billing_months m
     CROSS JOIN public.billing_zone z)
  WHERE (m.dirty OR (EXISTS ( SELECT
           FROM public.invoices i
          WHERE ((i.month = to_char((m.month AT TIME ZONE z.zone), 'YYYY-MM'::text)) AND (i.state = 'draft'::text)))));

COMMENT ON VIEW public.dirty_months IS 'billing months that a monthly run would change: by events that no run has seen, or since they have drafts';

CREATE VIEW public.dirty_status AS
 SELECT feed,
    count(*) FILTER (WHERE (dirty AND ((hour + '01:00:00'::interval) <= now()))) AS dirty_hours,
    min(GREATEST(dirty_since, (hour + '01:00:00'::interval))) FILTER (WHERE (dirty AND ((hour + '01:00:00'::interval) <= now()))) AS dirty_since,
    max(recomputed_at) AS last_recompute
   FROM public.hours
  GROUP BY feed;

COMMENT ON VIEW public.dirty_status IS 'hours that are over and wait for a recompute, and since when the first of them waits';

CREATE TABLE public.duplicate_events (
    feed text NOT NULL,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    event_time timestamp with time zone NOT NULL,
    first_partition integer NOT NULL,
    first_offset bigint NOT NULL,
    conflict boolean NOT NULL
);

COMMENT ON COLUMN public.duplicate_events.conflict IS 'whether its content differs from that of the first record with its id';

CREATE TABLE public.event_counts (
    feed text NOT NULL COLLATE pg_catalog."C",
    dimension text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    "timestamp" timestamp with time zone NOT NULL,
    value bigint NOT NULL
)
WITH (fillfactor='70');

COMMENT ON TABLE public.event_counts IS 'live: events per window of five minutes; timestamp is the start of the window';

CREATE TABLE public.event_counts_hourly (
    feed text NOT NULL COLLATE pg_catalog."C",
    dimension text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    "timestamp" timestamp with time zone NOT NULL,
    value bigint NOT NULL
);

COMMENT ON TABLE public.event_counts_hourly IS 'batch: events per hour, recomputed from the history; timestamp is the start of the hour';

CREATE TABLE public.event_publishing (
);

COMMENT ON TABLE public.event_publishing IS 'internal: its lock is the right to publish threshold events';

CREATE VIEW public.events_hourly AS
 SELECT event_counts_hourly.feed,
    event_counts_hourly.dimension,
    event_counts_hourly.id,
    event_counts_hourly."timestamp",
    event_counts_hourly.value,
    'batch'::text AS source,
    hours.recomputed_at AS as_of
   FROM (public.event_counts_hourly
     JOIN public.hours ON (((event_counts_hourly.feed = hours.feed) AND (event_counts_hourly."timestamp" = hours.hour) AND (NOT hours.dirty))))
UNION ALL
 SELECT event_counts.feed,
    event_counts.dimension,
    event_counts.id,
    hours.hour AS "timestamp",
    (sum(event_counts.value))::bigint AS value,
    'live'::text AS source,
    ( SELECT max(ledger.updated_at) AS max
           FROM public.ledger
          WHERE (ledger.feed = event_counts.feed)) AS as_of
   FROM (public.hours
     JOIN public.event_counts ON (((hours.feed = event_counts.feed) AND (event_counts."timestamp" >= hours.hour) AND (event_counts."timestamp" < (hours.hour + '01:00:00'::interval)))))
  WHERE hours.dirty
  GROUP BY event_counts.feed, event_counts.dimension, event_counts.id, hours.hour;

COMMENT ON VIEW public.events_hourly IS 'events per hour, from batch or live as source tells, as of as_of';

CREATE TABLE public.topic_ends (
    feed text NOT NULL,
    partition integer NOT NULL,
    end_offset bigint NOT NULL,
    observed_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.topic_ends IS 'the offset that the next record of a partition gets, as of observed_at';

CREATE VIEW public.feed_progress AS
 SELECT ledger.feed,
    ledger.partition,
    ledger.next_offset,
    topic_ends.end_offset,
    GREATEST((topic_ends.end_offset - ledger.next_offset), (0)::bigint) AS lag,
    ledger.received,
    ledger.counted,
    ledger.duplicate,
    ledger.invalid,
    ledger.unmatched,
    ledger.voids,
    ledger.latest_event_time,
    ledger.updated_at AS counted_at,
    topic_ends.observed_at,
    (EXTRACT(epoch FROM (now() - ledger.updated_at)))::bigint AS counted_s_ago
   FROM (public.ledger
     LEFT JOIN public.topic_ends ON (((ledger.feed = topic_ends.feed) AND (ledger.partition = topic_ends.partition))));

COMMENT ON VIEW public.feed_progress IS 'per partition: what became of what was received, and how many records wait (lag)';

CREATE TABLE public.history_ends (
    feed text NOT NULL,
    partition integer NOT NULL,
    end_offset bigint NOT NULL,
    committed_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.history_ends IS 'up to which offset the history holds the records of a partition; noted after its commits, for views only';

CREATE TABLE public.leases (
    feed text NOT NULL,
    partition integer NOT NULL,
    owner text NOT NULL,
    epoch bigint NOT NULL,
    heard_at timestamp with time zone NOT NULL,
    silent_s double precision NOT NULL,
    session integer NOT NULL,
    session_since timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.leases IS 'who counts which partition of a feed, or runs a job; see bytemeter/leases';

COMMENT ON COLUMN public.leases.feed IS 'a feed, or job/<name> with partition 0';

COMMENT ON COLUMN public.leases.owner IS 'host, process and its start; see bytemeter/leases/owner.py';

COMMENT ON COLUMN public.leases.epoch IS 'raised by each takeover; a transaction that counts checks it';

COMMENT ON COLUMN public.leases.heard_at IS 'when the owner was last heard; -infinity: it has given the lease back';

COMMENT ON COLUMN public.leases.silent_s IS 'seconds without a heartbeat after which others may take the lease over';

COMMENT ON COLUMN public.leases.session IS 'the PostgreSQL process of the owner''s transactions, ended by a takeover';

COMMENT ON COLUMN public.leases.session_since IS 'when that process began';

CREATE VIEW public.feed_status AS
 WITH feed_leases AS (
         SELECT leases_1.feed,
            leases_1.partition,
            leases_1.owner,
            leases_1.epoch,
            leases_1.heard_at,
            leases_1.silent_s,
            leases_1.session,
            leases_1.session_since
           FROM public.leases leases_1
          WHERE (NOT starts_with(leases_1.feed, 'job/'::text))
        )
 SELECT COALESCE(ledger.feed, leases.feed) AS feed,
    COALESCE(ledger.partition, leases.partition) AS partition,
    ledger.topic_id,
    ledger.next_offset,
    GREATEST((topic_ends.end_offset - ledger.next_offset), (0)::bigint) AS lag,
    ledger.updated_at AS counted_at,
    ledger.received,
    (ledger.received = ((((ledger.counted + ledger.duplicate) + ledger.invalid) + ledger.unmatched) + ledger.voids)) AS balanced,
    history_ends.end_offset AS history_offset,
    GREATEST((ledger.next_offset - history_ends.end_offset), (0)::bigint) AS history_lag,
    history_ends.committed_at AS history_at,
    leases.owner,
    NULLIF(leases.heard_at, '-infinity'::timestamp with time zone) AS heard_at,
    leases.silent_s
   FROM (((public.ledger
     FULL JOIN feed_leases leases ON (((ledger.feed = leases.feed) AND (ledger.partition = leases.partition))))
     LEFT JOIN public.topic_ends ON (((ledger.feed = topic_ends.feed) AND (ledger.partition = topic_ends.partition))))
     LEFT JOIN public.history_ends ON (((ledger.feed = history_ends.feed) AND (ledger.partition = history_ends.partition))));

COMMENT ON VIEW public.feed_status IS 'per partition: how far it is counted and kept, whether its account balances, who counts it and when it was heard';

CREATE TABLE public.import_offsets (
    file_hash text NOT NULL COLLATE pg_catalog."C",
    partition integer NOT NULL,
    first_offset bigint NOT NULL,
    last_offset bigint NOT NULL
);

COMMENT ON TABLE public.import_offsets IS 'where the accepted lines of a file are on its topic; those of others lie between';

CREATE TABLE public.imports (
    file_hash text NOT NULL COLLATE pg_catalog."C",
    feed text NOT NULL,
    name text NOT NULL,
    size bigint NOT NULL,
    lines bigint DEFAULT 0 NOT NULL,
    accepted bigint DEFAULT 0 NOT NULL,
    invalid bigint DEFAULT 0 NOT NULL,
    repeated bigint DEFAULT 0 NOT NULL,
    next_line bigint DEFAULT 1 NOT NULL,
    state text DEFAULT 'importing'::text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    noted_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT imports_check CHECK ((lines = ((accepted + invalid) + repeated))),
    CONSTRAINT imports_state_check CHECK ((state = ANY (ARRAY['importing'::text, 'done'::text, 'failed'::text])))
);

COMMENT ON TABLE public.imports IS 'a row for each content that was imported; its counts grow as Kafka acknowledges';

COMMENT ON COLUMN public.imports.file_hash IS 'SHA-256 of the content, inflated; of a file that cannot be inflated, as it is';

COMMENT ON COLUMN public.imports.size IS 'bytes of the content, inflated';

COMMENT ON COLUMN public.imports.repeated IS 'valid lines with the event id and event hour of a line shortly before; not sent';

COMMENT ON COLUMN public.imports.next_line IS 'lines before this one are acknowledged by Kafka, or refused';

COMMENT ON COLUMN public.imports.reason IS 'why the file failed';

CREATE TABLE public.invalid_events (
    feed text NOT NULL,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    reason text NOT NULL,
    payload bytea,
    event_time timestamp with time zone,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    replayed_at timestamp with time zone,
    length bigint,
    digest bytea,
    replay bigint
);

COMMENT ON COLUMN public.invalid_events.payload IS 'the value as received, at most its first BYTEMETER_INVALID_PAYLOAD_BYTES bytes; null for a tombstone';

COMMENT ON COLUMN public.invalid_events.event_time IS 'only of well-formed records that were refused because of their time: those stand in the history too';

COMMENT ON COLUMN public.invalid_events.replayed_at IS 'when the message was sent again; null before that';

COMMENT ON COLUMN public.invalid_events.length IS 'bytes of the whole value; null for a tombstone';

COMMENT ON COLUMN public.invalid_events.digest IS 'SHA-256 of the whole value; null for a tombstone';

COMMENT ON COLUMN public.invalid_events.replay IS 'the number of the transaction of Kafka that sends or has sent the message again; null before that';

CREATE VIEW public.invalid_samples AS
 SELECT received_at,
    feed,
    reason,
    "left"(encode(SUBSTRING(payload FROM 1 FOR 200), 'escape'::text), 200) AS payload,
    partition,
    record_offset,
    replayed_at,
    length,
    encode(digest, 'hex'::text) AS digest
   FROM public.invalid_events;

COMMENT ON VIEW public.invalid_samples IS 'invalid records with the beginning of what was received, as text';

CREATE TABLE public.invoice_events (
    number text NOT NULL COLLATE pg_catalog."C",
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    counts smallint NOT NULL,
    event_time timestamp with time zone NOT NULL,
    amount numeric(21,6) NOT NULL,
    event_id text,
    CONSTRAINT invoice_events_counts_check CHECK ((counts = ANY (ARRAY[1, '-1'::integer])))
);

COMMENT ON TABLE public.invoice_events IS 'the events behind each line of the invoices';

COMMENT ON COLUMN public.invoice_events.counts IS '1, or -1 for an event that an amendment takes back';

CREATE VIEW public.invoice_lines AS
 SELECT number,
    invoice,
    month,
    customer,
    type,
    events,
    public.round_half_even(total, 2) AS total_eur,
    total,
    (public.round_half_even(total, 2) - total) AS rounding,
    state,
    amends,
    reason,
    digest,
    made_at
   FROM public.invoices;

COMMENT ON VIEW public.invoice_lines IS 'lines of invoices, rounded half even; total is exact, rounding what was added to show it';

CREATE TABLE public.invoice_numbers (
    month text NOT NULL,
    customer text NOT NULL COLLATE pg_catalog."C",
    ordinal integer NOT NULL
);

COMMENT ON TABLE public.invoice_numbers IS 'the number that the invoice of a customer and month has, from its first draft on';

CREATE VIEW public.invoice_totals AS
 SELECT invoice,
    month,
    customer,
    count(*) AS lines,
    (sum(events))::bigint AS events,
    public.round_half_even(sum(total), 2) AS total_eur,
    sum(total) AS total,
    (public.round_half_even(sum(total), 2) - sum(total)) AS rounding,
    state,
    amends,
    max(made_at) AS made_at
   FROM public.invoices
  GROUP BY invoice, month, customer, state, amends;

COMMENT ON VIEW public.invoice_totals IS 'invoices and amendments, rounded half even from their exact lines';

CREATE TABLE public.job_runs (
    run bigint NOT NULL,
    job text NOT NULL,
    since timestamp with time zone,
    until timestamp with time zone,
    runner text NOT NULL,
    owner text NOT NULL,
    login text DEFAULT SESSION_USER NOT NULL,
    started_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    outcome text DEFAULT 'running'::text NOT NULL,
    told text DEFAULT ''::text NOT NULL,
    CONSTRAINT job_runs_check CHECK (((outcome = 'running'::text) = (ended_at IS NULL))),
    CONSTRAINT job_runs_outcome_check CHECK ((outcome = ANY (ARRAY['running'::text, 'done'::text, 'failed'::text, 'ended'::text])))
);

COMMENT ON TABLE public.job_runs IS 'a row for each run of a job, written by the run itself; see bytemeter/runs';

COMMENT ON COLUMN public.job_runs.job IS 'hourly, dirty-hours, monthly …';

COMMENT ON COLUMN public.job_runs.since IS 'the run recomputes [since, until); null where it finds out itself what is to do';

COMMENT ON COLUMN public.job_runs.runner IS 'who started it: schedule, command (by hand or cron) or spark-submit';

COMMENT ON COLUMN public.job_runs.owner IS 'host, process and its start; see bytemeter/leases/owner.py';

COMMENT ON COLUMN public.job_runs.outcome IS 'ended: by a signal, or without a word, such as by a kill or a power cut';

COMMENT ON COLUMN public.job_runs.told IS 'the lines that it has printed, or its error';

ALTER TABLE public.job_runs ALTER COLUMN run ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.job_runs_run_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.job_schedules (
    job text NOT NULL,
    cron text NOT NULL,
    next_at timestamp with time zone NOT NULL,
    noted_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.job_schedules IS 'when `bytemeter schedule` starts each job next';

COMMENT ON COLUMN public.job_schedules.cron IS 'the five fields of cron, in UTC';

COMMENT ON COLUMN public.job_schedules.next_at IS 'the next try after a failed run included; in the past: due';

COMMENT ON COLUMN public.job_schedules.noted_at IS 'when the scheduler has noted this';

CREATE VIEW public.job_status AS
 WITH jobs AS (
         SELECT job_runs.job
           FROM public.job_runs
        UNION
         SELECT job_schedules_1.job
           FROM public.job_schedules job_schedules_1
        ), latest AS (
         SELECT DISTINCT ON (job_runs.job) job_runs.run,
            job_runs.job,
            job_runs.since,
            job_runs.until,
            job_runs.runner,
            job_runs.owner,
            job_runs.login,
            job_runs.started_at,
            job_runs.ended_at,
            job_runs.outcome,
            job_runs.told
           FROM public.job_runs
          ORDER BY job_runs.job, job_runs.run DESC
        ), done AS (
         SELECT job_runs.job,
            max(job_runs.run) AS run,
            max(job_runs.started_at) AS started_at
           FROM public.job_runs
          WHERE (job_runs.outcome = 'done'::text)
          GROUP BY job_runs.job
        ), failed AS (
         SELECT job_runs.job,
            count(*) AS failures
           FROM (public.job_runs
             LEFT JOIN done done_1 ON ((job_runs.job = done_1.job)))
          WHERE ((job_runs.outcome = ANY (ARRAY['failed'::text, 'ended'::text])) AND (job_runs.run > COALESCE(done_1.run, (0)::bigint)))
          GROUP BY job_runs.job
        )
 SELECT jobs.job,
    job_schedules.cron,
    job_schedules.next_at,
    job_schedules.noted_at,
    latest.run,
    latest.started_at,
    latest.ended_at,
    latest.outcome,
    latest.since,
    latest.until,
    latest.runner,
    latest.owner,
    latest.told,
    done.started_at AS last_done,
    COALESCE(failed.failures, (0)::bigint) AS failures
   FROM ((((jobs
     LEFT JOIN public.job_schedules ON ((jobs.job = job_schedules.job)))
     LEFT JOIN latest ON ((jobs.job = latest.job)))
     LEFT JOIN done ON ((jobs.job = done.job)))
     LEFT JOIN failed ON ((jobs.job = failed.job)));

COMMENT ON VIEW public.job_status IS 'per job: its last run, the last that was done, failures since, and the next run';

CREATE VIEW public.judged_periods AS
 SELECT usage_id,
    agreement_id,
    period_start,
    period_end,
    year,
    month,
    status,
    billing_period_time_zone AS zone,
    max_bytes_in_billing_period AS "limit",
    thresholds,
    total_recorded_bytes AS total_bytes,
        CASE
            WHEN (latest_recorded_at IS NOT NULL) THEN total_recorded_bytes
            ELSE NULL::bigint
        END AS counted_bytes,
    latest_recorded_at,
    latest_internal_record_id AS latest_record,
    next_threshold_bytes,
    amendments
   FROM public.data_plan_usage u;

COMMENT ON VIEW public.judged_periods IS 'internal: the columns of billing periods that threshold events carry; select by usage_id';

COMMENT ON COLUMN public.judged_periods.counted_bytes IS 'the total, null as long as the period has no record';

CREATE TABLE public.last_event_position (
    only_row boolean DEFAULT true NOT NULL,
    "position" bigint NOT NULL,
    CONSTRAINT last_event_position_only_row_check CHECK (only_row)
);

COMMENT ON TABLE public.last_event_position IS 'the highest position of a threshold event';

CREATE VIEW public.live_against_batch AS
 SELECT feed,
    "timestamp",
    live_bytes,
    batch_bytes,
    (batch_bytes - live_bytes) AS difference,
        CASE
            WHEN dirty THEN 'live'::text
            ELSE 'batch'::text
        END AS served_from,
    recomputed_at
   FROM ( SELECT hours.feed,
            hours.hour AS "timestamp",
            hours.dirty,
            hours.recomputed_at,
            ( SELECT (sum(bytes.value))::bigint AS sum
                   FROM public.bytes
                  WHERE ((bytes.type = 'antenna_bytes_total'::text) AND (bytes."timestamp" >= hours.hour) AND (bytes."timestamp" < (hours.hour + '01:00:00'::interval)))) AS live_bytes,
            ( SELECT (sum(bytes_hourly.value))::bigint AS sum
                   FROM public.bytes_hourly
                  WHERE ((bytes_hourly.type = 'antenna_bytes_total'::text) AND (bytes_hourly."timestamp" = hours.hour))) AS batch_bytes
           FROM public.hours
          WHERE (hours.feed = 'devices'::text)) each_hour;

COMMENT ON VIEW public.live_against_batch IS 'each hour as counted live and as recomputed; a difference where served_from is live waits for the next recompute';

CREATE TABLE public.migrations (
    name text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE UNLOGGED TABLE public.monthly_ownership (
    msisdn text NOT NULL COLLATE pg_catalog."C",
    served_from_us bigint NOT NULL,
    served_until_us bigint NOT NULL,
    agreement_id text NOT NULL COLLATE pg_catalog."C",
    period_start timestamp with time zone NOT NULL
);

CREATE TABLE public.threshold_events (
    event_id uuid NOT NULL,
    agreement_id text NOT NULL COLLATE pg_catalog."C",
    period_start timestamp with time zone NOT NULL,
    type text NOT NULL,
    threshold_percent integer,
    threshold_bytes bigint,
    total_recorded_bytes bigint NOT NULL,
    latest_recorded_at timestamp with time zone,
    latest_internal_record_id text COLLATE pg_catalog."C",
    ordinal integer DEFAULT 0 NOT NULL,
    payload bytea NOT NULL,
    published_at timestamp with time zone,
    emitted_at timestamp with time zone DEFAULT now() NOT NULL,
    source text NOT NULL,
    sequence bigint NOT NULL,
    "position" bigint,
    CONSTRAINT threshold_events_source_check CHECK ((source = ANY (ARRAY['live'::text, 'batch'::text])))
);

COMMENT ON COLUMN public.threshold_events.latest_recorded_at IS 'of the record that crossed; else of the latest one';

COMMENT ON COLUMN public.threshold_events.payload IS 'the message, byte for byte';

COMMENT ON COLUMN public.threshold_events."position" IS 'given after the commit, in the order in which streams send the events; null for a moment';

CREATE VIEW public.outbox_status AS
 SELECT count(*) AS waiting,
    min(emitted_at) AS oldest
   FROM public.threshold_events
  WHERE (published_at IS NULL);

COMMENT ON VIEW public.outbox_status IS 'threshold events that are not published yet';

CREATE VIEW public.plan_events AS
 SELECT threshold_events.emitted_at,
    threshold_events.type,
        CASE threshold_events.type
            WHEN 'DATA_PLAN_THRESHOLD_REACHED'::text THEN (threshold_events.threshold_percent || ' % reached'::text)
            WHEN 'DATA_PLAN_EXCEEDED'::text THEN (threshold_events.threshold_percent || ' % exceeded'::text)
            WHEN 'DATA_PLAN_CORRECTED'::text THEN 'total corrected'::text
            WHEN 'BILLING_PERIOD_CLOSED'::text THEN 'period closed'::text
            ELSE 'period amended'::text
        END AS event,
    agreements.msisdn,
    threshold_events.agreement_id,
    threshold_events.period_start,
    threshold_events.threshold_percent,
    threshold_events.total_recorded_bytes,
    COALESCE(plan_usage.max_bytes_in_billing_period, agreements.max_bytes_in_billing_period) AS max_bytes_in_billing_period,
    threshold_events.latest_recorded_at,
    threshold_events.latest_internal_record_id,
    threshold_events.published_at,
    threshold_events.source,
    threshold_events.event_id
   FROM ((public.threshold_events
     JOIN public.agreements ON ((threshold_events.agreement_id = agreements.id)))
     LEFT JOIN public.data_plan_usage plan_usage ON (((threshold_events.agreement_id = plan_usage.agreement_id) AND (threshold_events.period_start = plan_usage.period_start))));

COMMENT ON VIEW public.plan_events IS 'what was emitted for data plans, with the number and words for people';

CREATE VIEW public.plan_ownership AS
 SELECT services.msisdn,
    services.agreement_id,
    GREATEST(periods.period_start, services.served_from) AS served_from,
    LEAST(periods.period_end, services.served_until) AS served_until,
    periods.period_start,
    periods.period_end,
    periods.year,
    periods.month
   FROM (public.agreement_services services
     JOIN public.billing_periods periods ON (((periods.time_zone = services.billing_period_time_zone) AND (periods.anchor_day = services.anchor_day) AND (periods.period_end > services.served_from) AND (periods.period_start < services.served_until))));

CREATE VIEW public.plan_progress AS
 SELECT plan_usage.agreement_id,
    agreements.msisdn,
    plan_usage.billing_period_time_zone,
    plan_usage.period_start,
    plan_usage.period_end,
    plan_usage.year,
    plan_usage.month,
    ((plan_usage.year || '-'::text) || lpad((plan_usage.month)::text, 2, '0'::text)) AS billing_month,
    plan_usage.status,
    ((plan_usage.period_start <= now()) AND (plan_usage.period_end > now())) AS running,
    plan_usage.total_recorded_bytes,
    plan_usage.max_bytes_in_billing_period,
    round(((100.0 * (plan_usage.total_recorded_bytes)::numeric) / (NULLIF(plan_usage.max_bytes_in_billing_period, 0))::numeric), 1) AS percent_used,
    LEAST(((((100 * plan_usage.total_recorded_bytes) / NULLIF(plan_usage.max_bytes_in_billing_period, 0)) / 10) * 10), (100)::bigint) AS tenth,
    ((plan_usage.latest_recorded_at IS NOT NULL) AND (plan_usage.total_recorded_bytes >= plan_usage.max_bytes_in_billing_period)) AS over,
    round((((100)::numeric * EXTRACT(epoch FROM (LEAST(now(), plan_usage.period_end) - plan_usage.period_start))) / EXTRACT(epoch FROM (plan_usage.period_end - plan_usage.period_start))), 1) AS percent_of_period,
    plan_usage.latest_recorded_at
   FROM (public.data_plan_usage plan_usage
     JOIN public.agreements ON ((plan_usage.agreement_id = agreements.id)));

COMMENT ON VIEW public.plan_progress IS 'how far each agreement is in each of its billing periods';

COMMENT ON COLUMN public.plan_progress.tenth IS 'percent used, rounded down to tens; 100 for all that reached the limit';

CREATE TABLE public.plan_segments (
    msisdn text NOT NULL COLLATE pg_catalog."C",
    served_from_us bigint NOT NULL,
    served_until_us bigint NOT NULL,
    agreement_id text NOT NULL COLLATE pg_catalog."C",
    period_start timestamp with time zone NOT NULL,
    usage_id bigint
);

COMMENT ON TABLE public.plan_segments IS 'ownership spans: in [served_from_us, served_until_us), microseconds since 1970, the records of an MSISDN belong to one
billing period of one agreement';

COMMENT ON COLUMN public.plan_segments.usage_id IS 'of the row of data_plan_usage; null until a record has been counted';

CREATE VIEW public.quota_breaches AS
 SELECT usage_hourly.id AS email,
    usage_hourly."timestamp",
    usage_hourly.value AS usage,
    user_metadata.quota,
    usage_hourly.source,
    usage_hourly.as_of
   FROM (public.usage_hourly
     JOIN public.user_metadata ON ((usage_hourly.id = user_metadata.email)))
  WHERE ((usage_hourly.type = 'email_bytes_total'::text) AND (usage_hourly.value > user_metadata.quota));

COMMENT ON VIEW public.quota_breaches IS 'hours over quota, live and batch; user_quota_limit holds the recomputed ones';

CREATE VIEW public.recompute_progress AS
 SELECT feed,
    max(recomputed_at) AS last_recompute,
    max(hour) FILTER (WHERE (NOT dirty)) AS latest_recomputed_hour,
    count(*) FILTER (WHERE dirty) AS hours_waiting,
    min(hour) FILTER (WHERE dirty) AS oldest_waiting
   FROM public.hours
  GROUP BY feed;

COMMENT ON VIEW public.recompute_progress IS 'when hours were last recomputed, and how many wait for it';

CREATE TABLE public.reference_contents (
    id text NOT NULL COLLATE pg_catalog."C",
    data jsonb NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT reference_contents_data_check CHECK ((jsonb_typeof(data) = 'object'::text))
);

COMMENT ON TABLE public.reference_contents IS 'by object.id, and by l1 and l2 of its rollup: contentdata, collectiondata, l2data';

CREATE TABLE public.reference_devices (
    id text NOT NULL COLLATE pg_catalog."C",
    data jsonb NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT reference_devices_data_check CHECK ((jsonb_typeof(data) = 'object'::text))
);

COMMENT ON TABLE public.reference_devices IS 'by context.did of an event: devicedata';

CREATE TABLE public.reference_dialcodes (
    id text NOT NULL COLLATE pg_catalog."C",
    data jsonb NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT reference_dialcodes_data_check CHECK ((jsonb_typeof(data) = 'object'::text))
);

COMMENT ON TABLE public.reference_dialcodes IS 'by object.id of a dialcode, in upper case: dialcodedata';

CREATE TABLE public.reference_users (
    id text NOT NULL COLLATE pg_catalog."C",
    data jsonb NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT reference_users_data_check CHECK ((jsonb_typeof(data) = 'object'::text))
);

COMMENT ON TABLE public.reference_users IS 'by actor.id of an event, of type User: userdata';

CREATE VIEW public.refused_by_clock AS
 SELECT feed,
    partition,
    record_offset,
    event_time AS countable_at,
    received_at,
    replayed_at
   FROM public.invalid_events
  WHERE (event_time IS NOT NULL);

COMMENT ON VIEW public.refused_by_clock IS 'records that were refused because they were ahead of the clock of an executor; countable_at, their event time, is when
no clock that is right refuses them any more: what lies before now() and was not replayed can be counted after all';

CREATE VIEW public.refused_events AS
 SELECT duplicate_events.feed,
    duplicate_events.partition,
    duplicate_events.record_offset,
    duplicate_events.event_time
   FROM public.duplicate_events
UNION ALL
 SELECT invalid_events.feed,
    invalid_events.partition,
    invalid_events.record_offset,
    invalid_events.event_time
   FROM public.invalid_events
  WHERE (invalid_events.event_time IS NOT NULL);

CREATE TABLE public.routed (
    feed text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    routed_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.routed IS 'the offset of each partition up to which what was counted has been sent on';

CREATE TABLE public.routed_messages (
    feed text NOT NULL,
    topic text NOT NULL,
    messages bigint NOT NULL
);

COMMENT ON TABLE public.routed_messages IS 'messages that a feed''s records became, by the topic to which they go';

COMMENT ON COLUMN public.routed_messages.topic IS 'without the topic prefix';

CREATE VIEW public.routing_status AS
 SELECT ledger.feed,
    ledger.partition,
    ledger.next_offset,
    COALESCE(routed.next_offset, (0)::bigint) AS routed_offset,
    GREATEST((ledger.next_offset - COALESCE(routed.next_offset, (0)::bigint)), (0)::bigint) AS waiting,
    routed.routed_at,
    ledger.updated_at AS counted_at
   FROM (public.ledger
     JOIN public.routed ON (((ledger.feed = routed.feed) AND (ledger.partition = routed.partition))));

COMMENT ON VIEW public.routing_status IS 'messages of each partition that are counted and not sent on yet';

CREATE TABLE public.seen_generations (
    generation integer NOT NULL,
    feed text,
    era integer
);

COMMENT ON TABLE public.seen_generations IS 'live: the tables seen_ids_<generation> of full segments, dropped as a whole';

COMMENT ON COLUMN public.seen_generations.feed IS 'null: segments of all feeds, as they were before there was a horizon';

COMMENT ON COLUMN public.seen_generations.era IS 'hours since 1970; a new generation is begun as the horizon reaches the next era';

ALTER TABLE public.seen_generations ALTER COLUMN generation ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.seen_generations_generation_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.seen_ids (
    segment integer NOT NULL,
    pack integer NOT NULL,
    ids bytea NOT NULL
);
ALTER TABLE ONLY public.seen_ids ALTER COLUMN ids SET STORAGE EXTERNAL;

COMMENT ON TABLE public.seen_ids IS 'live: where the first record of each event id stands, of segments to which ids are still added';

COMMENT ON COLUMN public.seen_ids.ids IS '40 bytes for each: hash of the id (16), hours since 1970 (4), partition (4), offset (8), hash of the content (8)';

CREATE TABLE public.seen_segments (
    segment integer NOT NULL,
    feed text NOT NULL,
    filter bytea,
    fences bytea,
    counted boolean DEFAULT true NOT NULL,
    generation integer,
    hour integer,
    last_hour integer NOT NULL
);
ALTER TABLE ONLY public.seen_segments ALTER COLUMN filter SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.seen_segments ALTER COLUMN fences SET STORAGE EXTERNAL;

COMMENT ON TABLE public.seen_segments IS 'live: the parts of seen_ids';

COMMENT ON COLUMN public.seen_segments.filter IS 'Bloom filter of a segment of the time before generations; later ones are pack -1 of their segment';

COMMENT ON COLUMN public.seen_segments.fences IS 'first keys of the packs of a segment of the time before generations; later ones are pack -2 of their segment';

COMMENT ON COLUMN public.seen_segments.counted IS 'whether the transaction that counts the records of these ids is committed; if not, nobody has seen them';

COMMENT ON COLUMN public.seen_segments.generation IS 'where the packs are: in seen_ids_<generation>; null: in seen_ids';

COMMENT ON COLUMN public.seen_segments.hour IS 'event hour of its ids, since 1970; null: of any hours, up to last_hour';

COMMENT ON COLUMN public.seen_segments.last_hour IS 'the last event hour of its ids, since 1970';

ALTER TABLE public.seen_segments ALTER COLUMN segment ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.seen_segments_segment_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE UNLOGGED TABLE public.staged_billable (
    attempt bigint DEFAULT (current_setting('bytemeter.attempt'::text))::bigint NOT NULL,
    customer text NOT NULL COLLATE pg_catalog."C",
    type text NOT NULL COLLATE pg_catalog."C",
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    event_us bigint NOT NULL,
    amount numeric NOT NULL,
    event_id text
);

CREATE UNLOGGED TABLE public.staged_hourly (
    attempt bigint DEFAULT (current_setting('bytemeter.attempt'::text))::bigint NOT NULL,
    type text NOT NULL,
    id text NOT NULL,
    window_s bigint NOT NULL,
    value numeric NOT NULL
);

CREATE UNLOGGED TABLE public.staged_monthly (
    attempt bigint DEFAULT (current_setting('bytemeter.attempt'::text))::bigint CONSTRAINT staged_hourly_attempt_not_null NOT NULL,
    type text CONSTRAINT staged_hourly_type_not_null NOT NULL,
    id text CONSTRAINT staged_hourly_id_not_null NOT NULL,
    window_s bigint CONSTRAINT staged_hourly_window_s_not_null NOT NULL,
    value numeric CONSTRAINT staged_hourly_value_not_null NOT NULL
);

CREATE UNLOGGED TABLE public.staged_plan_usage (
    attempt bigint DEFAULT (current_setting('bytemeter.attempt'::text))::bigint NOT NULL,
    agreement_id text NOT NULL COLLATE pg_catalog."C",
    period_start timestamp with time zone NOT NULL,
    bytes bigint NOT NULL,
    latest_us bigint NOT NULL,
    latest text NOT NULL COLLATE pg_catalog."C"
);

CREATE VIEW public.telemetry_active_users AS
 SELECT date_trunc('day'::text, "timestamp", 'UTC'::text) AS day,
    count(DISTINCT id) AS users
   FROM public.events_hourly
  WHERE ((feed = 'telemetry'::text) AND (dimension = 'user'::text))
  GROUP BY (date_trunc('day'::text, "timestamp", 'UTC'::text));

COMMENT ON VIEW public.telemetry_active_users IS 'exactly how many different actors of type User had a valid event, per UTC day';

CREATE VIEW public.telemetry_content AS
 SELECT "timestamp",
    id AS content,
    (COALESCE(sum(value) FILTER (WHERE (dimension = 'content'::text)), (0)::numeric))::bigint AS events,
    (COALESCE(sum(value) FILTER (WHERE (dimension = 'content_milliseconds'::text)), (0)::numeric) / 60000.0) AS minutes
   FROM public.events_hourly
  WHERE ((feed = 'telemetry'::text) AND (dimension = ANY (ARRAY['content'::text, 'content_milliseconds'::text])))
  GROUP BY "timestamp", id;

COMMENT ON VIEW public.telemetry_content IS 'events per hour and content (object.id), and the minutes that they tell';

CREATE VIEW public.telemetry_events AS
 SELECT "timestamp",
    id AS eid,
        CASE id
            WHEN 'LOG'::text THEN 'log'::text
            WHEN 'ERROR'::text THEN 'error'::text
            ELSE 'unique'::text
        END AS outcome,
    value AS events,
    source,
    as_of
   FROM public.events_hourly
  WHERE ((feed = 'telemetry'::text) AND (dimension = 'eid'::text));

COMMENT ON VIEW public.telemetry_events IS 'valid events without duplicates per hour and kind, and the topic of their outcome';

CREATE VIEW public.telemetry_failed AS
 SELECT date_trunc('hour'::text, received_at, 'UTC'::text) AS "timestamp",
    feed,
    reason,
    count(*) AS messages
   FROM public.invalid_events
  WHERE (feed = ANY (ARRAY['telemetry-batches'::text, 'telemetry'::text, 'telemetry-unique'::text, 'telemetry-denorm'::text]))
  GROUP BY (date_trunc('hour'::text, received_at, 'UTC'::text)), feed, reason;

COMMENT ON VIEW public.telemetry_failed IS 'invalid batches and events by reason, per hour in which they were received';

CREATE VIEW public.telemetry_funnel AS
 WITH received AS (
         SELECT ledger.feed,
            (sum(ledger.received))::bigint AS messages
           FROM public.ledger
          GROUP BY ledger.feed
        ), routed AS (
         SELECT routed_messages.topic,
            (sum(routed_messages.messages))::bigint AS messages
           FROM public.routed_messages
          GROUP BY routed_messages.topic
        ), steps(step, name, feed, topic) AS (
         VALUES (1,'ingest'::text,'telemetry-batches'::text,NULL::text), (2,'raw'::text,'telemetry'::text,NULL::text), (3,'unique'::text,NULL::text,'telemetry.unique'::text), (4,'denorm'::text,NULL::text,'telemetry.denorm'::text), (5,'duplicate'::text,NULL::text,'telemetry.duplicate'::text), (6,'failed'::text,NULL::text,'telemetry.failed'::text), (7,'log'::text,NULL::text,'telemetry.log'::text), (8,'error'::text,NULL::text,'telemetry.error'::text), (9,'audit'::text,NULL::text,'telemetry.audit'::text), (10,'assess'::text,NULL::text,'telemetry.assess'::text)
        )
 SELECT steps.step,
    steps.name,
    COALESCE(received.messages, routed.messages, (0)::bigint) AS messages
   FROM ((steps
     LEFT JOIN received ON ((steps.feed = received.feed)))
     LEFT JOIN routed ON ((steps.topic = routed.topic)));

COMMENT ON VIEW public.telemetry_funnel IS 'what telemetry has received, and what became of it: messages of each topic';

CREATE VIEW public.telemetry_sessions AS
 SELECT "timestamp",
    (COALESCE(sum(value) FILTER (WHERE ((dimension = 'eid'::text) AND (id = 'START'::text))), (0)::numeric))::bigint AS started,
    (COALESCE(sum(value) FILTER (WHERE ((dimension = 'eid'::text) AND (id = 'END'::text))), (0)::numeric))::bigint AS ended,
    (COALESCE(sum(value) FILTER (WHERE ((dimension = 'eid_milliseconds'::text) AND (id = 'END'::text))), (0)::numeric) / 60000.0) AS minutes
   FROM public.events_hourly
  WHERE ((feed = 'telemetry'::text) AND (dimension = ANY (ARRAY['eid'::text, 'eid_milliseconds'::text])) AND (id = ANY (ARRAY['START'::text, 'END'::text])))
  GROUP BY "timestamp";

COMMENT ON VIEW public.telemetry_sessions IS 'sessions per hour: START and END events, and the minutes that END events tell';

ALTER TABLE public.threshold_events ALTER COLUMN sequence ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.threshold_events_sequence_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.unmatched_records (
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    msisdn text NOT NULL COLLATE pg_catalog."C",
    recorded_us bigint NOT NULL,
    recorded_bytes bigint NOT NULL,
    internal_record_id text NOT NULL COLLATE pg_catalog."C"
);

CREATE VIEW public.usage_by_antenna AS
 SELECT "timestamp",
    id AS antenna_id,
    public.short_id(id) AS antenna,
    value AS bytes
   FROM public.bytes
  WHERE (type = 'antenna_bytes_total'::text);

COMMENT ON VIEW public.usage_by_antenna IS 'live: bytes per antenna and window of five minutes';

CREATE VIEW public.usage_by_app AS
 SELECT "timestamp",
    id AS app,
    value AS bytes
   FROM public.bytes
  WHERE (type = 'app_bytes_total'::text);

COMMENT ON VIEW public.usage_by_app IS 'live: bytes per app and window of five minutes';

CREATE VIEW public.usage_by_user AS
 SELECT bytes."timestamp",
    bytes.id AS user_id,
    COALESCE(user_metadata.email, public.short_id(bytes.id)) AS user_name,
    bytes.value AS bytes
   FROM (public.bytes
     LEFT JOIN public.user_metadata ON ((bytes.id = user_metadata.id)))
  WHERE (bytes.type = 'user_bytes_total'::text);

COMMENT ON VIEW public.usage_by_user IS 'live: bytes per user and window of five minutes; e-mail where the user is known';

CREATE TABLE public.user_quota_limit (
    email text NOT NULL,
    "timestamp" timestamp with time zone NOT NULL,
    usage bigint NOT NULL,
    quota bigint NOT NULL,
    CONSTRAINT user_quota_limit_check CHECK ((usage > quota))
);

COMMENT ON TABLE public.user_quota_limit IS 'batch: hours in which a user''s usage exceeded the quota';

ALTER TABLE ONLY public.agreement_services
    ADD CONSTRAINT agreement_services_pkey PRIMARY KEY (msisdn, served_from);

ALTER TABLE ONLY public.agreement_versions
    ADD CONSTRAINT agreement_versions_pkey PRIMARY KEY (id, effective_from, received_at);

ALTER TABLE ONLY public.agreements
    ADD CONSTRAINT agreements_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.billable_hourly
    ADD CONSTRAINT billable_hourly_pkey PRIMARY KEY (dimension, id, "timestamp");

ALTER TABLE ONLY public.billable_monthly
    ADD CONSTRAINT billable_monthly_pkey PRIMARY KEY (month, dimension, id);

ALTER TABLE ONLY public.billable_recomputed
    ADD CONSTRAINT billable_recomputed_pkey PRIMARY KEY (month, dimension, id);

ALTER TABLE ONLY public.billable_recomputes
    ADD CONSTRAINT billable_recomputes_pkey PRIMARY KEY (month);

ALTER TABLE ONLY public.billing_calendars
    ADD CONSTRAINT billing_calendars_pkey PRIMARY KEY (time_zone, anchor_day);

ALTER TABLE ONLY public.billing_months
    ADD CONSTRAINT billing_months_pkey PRIMARY KEY (month);

ALTER TABLE ONLY public.billing_periods
    ADD CONSTRAINT billing_periods_do_not_overlap EXCLUDE USING gist (time_zone WITH =, anchor_day WITH =, tstzrange(period_start, period_end) WITH &&);

ALTER TABLE ONLY public.billing_periods
    ADD CONSTRAINT billing_periods_pkey PRIMARY KEY (time_zone, anchor_day, period_start);

ALTER TABLE ONLY public.billing_zone
    ADD CONSTRAINT billing_zone_pkey PRIMARY KEY (the_only_row);

ALTER TABLE ONLY public.bytes_hourly
    ADD CONSTRAINT bytes_hourly_pkey PRIMARY KEY (type, "timestamp", id);

ALTER TABLE ONLY public.bytes_monthly
    ADD CONSTRAINT bytes_monthly_pkey PRIMARY KEY (type, "timestamp", id);

ALTER TABLE ONLY public.bytes
    ADD CONSTRAINT bytes_pkey PRIMARY KEY (type, "timestamp", id);

ALTER TABLE ONLY public.data_plan_usage
    ADD CONSTRAINT data_plan_usage_pkey PRIMARY KEY (agreement_id, period_start);

ALTER TABLE ONLY public.duplicate_events
    ADD CONSTRAINT duplicate_events_pkey PRIMARY KEY (feed, partition, record_offset);

ALTER TABLE ONLY public.event_counts_hourly
    ADD CONSTRAINT event_counts_hourly_pkey PRIMARY KEY (feed, dimension, id, "timestamp");

ALTER TABLE ONLY public.event_counts
    ADD CONSTRAINT event_counts_pkey PRIMARY KEY (feed, dimension, id, "timestamp");

ALTER TABLE ONLY public.history_ends
    ADD CONSTRAINT history_ends_pkey PRIMARY KEY (feed, partition);

ALTER TABLE ONLY public.hours
    ADD CONSTRAINT hours_pkey PRIMARY KEY (feed, hour);

ALTER TABLE ONLY public.import_offsets
    ADD CONSTRAINT import_offsets_pkey PRIMARY KEY (file_hash, partition);

ALTER TABLE ONLY public.imports
    ADD CONSTRAINT imports_pkey PRIMARY KEY (file_hash);

ALTER TABLE ONLY public.invalid_events
    ADD CONSTRAINT invalid_events_pkey PRIMARY KEY (feed, partition, record_offset);

ALTER TABLE ONLY public.invoice_events
    ADD CONSTRAINT invoice_events_pkey PRIMARY KEY (number, partition, record_offset);

ALTER TABLE ONLY public.invoice_numbers
    ADD CONSTRAINT invoice_numbers_month_ordinal_key UNIQUE (month, ordinal);

ALTER TABLE ONLY public.invoice_numbers
    ADD CONSTRAINT invoice_numbers_pkey PRIMARY KEY (month, customer);

ALTER TABLE ONLY public.invoices
    ADD CONSTRAINT invoices_pkey PRIMARY KEY (number);

ALTER TABLE ONLY public.job_runs
    ADD CONSTRAINT job_runs_pkey PRIMARY KEY (run);

ALTER TABLE ONLY public.job_schedules
    ADD CONSTRAINT job_schedules_pkey PRIMARY KEY (job);

ALTER TABLE ONLY public.last_event_position
    ADD CONSTRAINT last_event_position_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY public.leases
    ADD CONSTRAINT leases_feed_partition_epoch_key UNIQUE (feed, partition, epoch);

ALTER TABLE ONLY public.leases
    ADD CONSTRAINT leases_pkey PRIMARY KEY (feed, partition);

ALTER TABLE ONLY public.ledger
    ADD CONSTRAINT ledger_pkey PRIMARY KEY (feed, partition);

ALTER TABLE ONLY public.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.plan_segments
    ADD CONSTRAINT plan_segments_pkey PRIMARY KEY (msisdn, served_from_us);

ALTER TABLE ONLY public.reference_contents
    ADD CONSTRAINT reference_contents_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.reference_devices
    ADD CONSTRAINT reference_devices_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.reference_dialcodes
    ADD CONSTRAINT reference_dialcodes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.reference_users
    ADD CONSTRAINT reference_users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.routed_messages
    ADD CONSTRAINT routed_messages_pkey PRIMARY KEY (feed, topic);

ALTER TABLE ONLY public.routed
    ADD CONSTRAINT routed_pkey PRIMARY KEY (feed, partition);

ALTER TABLE ONLY public.seen_generations
    ADD CONSTRAINT seen_generations_feed_era_key UNIQUE (feed, era);

ALTER TABLE ONLY public.seen_generations
    ADD CONSTRAINT seen_generations_pkey PRIMARY KEY (generation);

ALTER TABLE ONLY public.seen_ids
    ADD CONSTRAINT seen_ids_pkey PRIMARY KEY (segment, pack);

ALTER TABLE ONLY public.seen_segments
    ADD CONSTRAINT seen_segments_pkey PRIMARY KEY (segment);

ALTER TABLE ONLY public.threshold_events
    ADD CONSTRAINT threshold_events_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY public.topic_ends
    ADD CONSTRAINT topic_ends_pkey PRIMARY KEY (feed, partition);

ALTER TABLE ONLY public.unmatched_records
    ADD CONSTRAINT unmatched_records_pkey PRIMARY KEY (partition, record_offset);

ALTER TABLE ONLY public.user_metadata
    ADD CONSTRAINT user_metadata_email_key UNIQUE (email);

ALTER TABLE ONLY public.user_metadata
    ADD CONSTRAINT user_metadata_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.user_quota_limit
    ADD CONSTRAINT user_quota_limit_pkey PRIMARY KEY (email, "timestamp");

CREATE INDEX agreement_services_agreement ON public.agreement_services USING btree (agreement_id, served_from);

CREATE INDEX agreement_versions_msisdn ON public.agreement_versions USING btree (msisdn);

CREATE INDEX agreements_msisdn ON public.agreements USING btree (msisdn, service_start_at);

CREATE INDEX billable_hourly_timestamp ON public.billable_hourly USING btree ("timestamp");

CREATE INDEX billing_periods_month ON public.billing_periods USING btree (year, month);

CREATE INDEX bytes_hourly_timestamp ON public.bytes_hourly USING btree ("timestamp");

CREATE INDEX bytes_monthly_timestamp ON public.bytes_monthly USING btree ("timestamp");

CREATE INDEX data_plan_usage_month ON public.data_plan_usage USING btree (year, month);

CREATE INDEX data_plan_usage_open ON public.data_plan_usage USING btree (period_end) WHERE (status = 'open'::text);

CREATE UNIQUE INDEX data_plan_usage_usage_id ON public.data_plan_usage USING btree (usage_id);

CREATE INDEX duplicate_events_event_time ON public.duplicate_events USING btree (feed, event_time);

CREATE INDEX event_counts_hourly_timestamp ON public.event_counts_hourly USING btree ("timestamp");

CREATE INDEX event_counts_timestamp ON public.event_counts USING btree ("timestamp");

CREATE INDEX hours_dirty ON public.hours USING btree (feed, hour) WHERE dirty;

CREATE INDEX invalid_events_event_time ON public.invalid_events USING btree (feed, event_time) WHERE (event_time IS NOT NULL);

CREATE INDEX invalid_events_replay ON public.invalid_events USING btree (feed, replay) WHERE ((replay IS NOT NULL) AND (replayed_at IS NULL));

CREATE INDEX invoices_invoice ON public.invoices USING btree (invoice);

CREATE INDEX invoices_month ON public.invoices USING btree (month, customer);

CREATE INDEX job_runs_job ON public.job_runs USING btree (job, run);

CREATE INDEX seen_segments_feed ON public.seen_segments USING btree (feed, segment);

CREATE INDEX threshold_events_agreement ON public.threshold_events USING btree (agreement_id, period_start);

CREATE INDEX threshold_events_emitted_at ON public.threshold_events USING btree (emitted_at);

CREATE UNIQUE INDEX threshold_events_position ON public.threshold_events USING btree ("position");

CREATE INDEX threshold_events_unpublished ON public.threshold_events USING btree (sequence) WHERE (published_at IS NULL);

CREATE INDEX threshold_events_without_position ON public.threshold_events USING btree (sequence) WHERE ("position" IS NULL);

CREATE INDEX unmatched_records_msisdn ON public.unmatched_records USING btree (msisdn, recorded_us);

CREATE INDEX user_quota_limit_timestamp ON public.user_quota_limit USING btree ("timestamp");

CREATE TRIGGER added_events_are_of_drafts AFTER INSERT ON public.invoice_events REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.keep_issued_events();

CREATE TRIGGER issued_lines_stay BEFORE DELETE OR UPDATE ON public.invoices FOR EACH ROW WHEN ((old.state <> 'draft'::text)) EXECUTE FUNCTION public.keep_issued_lines();

CREATE TRIGGER removed_events_are_of_drafts AFTER DELETE ON public.invoice_events REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.keep_issued_events();

CREATE TRIGGER updated_events_are_of_drafts AFTER UPDATE ON public.invoice_events REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.keep_issued_events();

ALTER TABLE ONLY public.import_offsets
    ADD CONSTRAINT import_offsets_file_hash_fkey FOREIGN KEY (file_hash) REFERENCES public.imports(file_hash);
