-- Runs of jobs, whoever starts them, when the scheduler starts the next ones, how far the history reaches, and views
-- that tell how all parts do (`bytemeter status`).
create table job_runs (
    run bigint generated always as identity primary key,
    job text not null,
    since timestamptz,
    until timestamptz,
    runner text not null,
    owner text not null,
    login text not null default session_user,
    started_at timestamptz not null,
    ended_at timestamptz,
    outcome text not null default 'running' check (outcome in ('running', 'done', 'failed', 'ended')),
    told text not null default '',
    check ((outcome = 'running') = (ended_at is null))
);
create index job_runs_job on job_runs (job, run);
comment on table job_runs is 'a row for each run of a job, written by the run itself; see bytemeter/runs';
comment on column job_runs.job is 'hourly, dirty-hours, monthly …';
comment on column job_runs.since is 'the run recomputes [since, until); null where it finds out itself what is to do';
comment on column job_runs.runner is 'who started it: schedule, command (by hand or cron) or spark-submit';
comment on column job_runs.owner is 'host, process and its start; see bytemeter/leases/owner.py';
comment on column job_runs.outcome is 'ended: by a signal, or without a word, such as by a kill or a power cut';
comment on column job_runs.told is 'the lines that it has printed, or its error';

create table job_schedules (
    job text primary key,
    cron text not null,
    next_at timestamptz not null,
    noted_at timestamptz not null
);
comment on table job_schedules is 'when `bytemeter schedule` starts each job next';
comment on column job_schedules.cron is 'the five fields of cron, in UTC';
comment on column job_schedules.next_at is 'the next try after a failed run included; in the past: due';
comment on column job_schedules.noted_at is 'when the scheduler has noted this';

create table history_ends (
    feed text not null,
    partition integer not null,
    end_offset bigint not null,
    committed_at timestamptz not null,
    primary key (feed, partition)
);
comment on table history_ends is
'up to which offset the history holds the records of a partition; noted after its commits, for views only';

grant select, insert, update on job_runs, job_schedules, history_ends to bytemeter_writer;
grant delete on job_schedules to bytemeter_writer;

alter table hours add column dirty_since timestamptz not null default now();
comment on column hours.dirty_since is 'since when records of a dirty hour wait for a recompute';

comment on table leases is 'who counts which partition of a feed, or runs a job; see bytemeter/leases';
comment on column leases.feed is 'a feed, or job/<name> with partition 0';
comment on column leases.owner is 'host, process and its start; see bytemeter/leases/owner.py';

create view feed_status as
with feed_leases as (
    select * from leases -- noqa: AM04
    where not starts_with(feed, 'job/')
)

select
    coalesce(ledger.feed, leases.feed) as feed,
    coalesce(ledger.partition, leases.partition) as partition,
    ledger.topic_id,
    ledger.next_offset,
    greatest(topic_ends.end_offset - ledger.next_offset, 0) as lag,
    ledger.updated_at as counted_at,
    ledger.received,
    ledger.received = ledger.counted + ledger.duplicate + ledger.invalid + ledger.unmatched + ledger.voids as balanced,
    history_ends.end_offset as history_offset,
    greatest(ledger.next_offset - history_ends.end_offset, 0) as history_lag,
    history_ends.committed_at as history_at,
    leases.owner,
    nullif(leases.heard_at, '-infinity') as heard_at,
    leases.silent_s
from ledger
full join feed_leases as leases
    on ledger.feed = leases.feed and ledger.partition = leases.partition
left join topic_ends on ledger.feed = topic_ends.feed and ledger.partition = topic_ends.partition
left join history_ends on ledger.feed = history_ends.feed and ledger.partition = history_ends.partition;
comment on view feed_status is
'per partition: how far it is counted and kept, whether its account balances, who counts it and when it was heard';

create view dirty_status as
select
    feed,
    count(*) filter (where dirty and hour + interval '1 hour' <= now()) as dirty_hours,
    min(greatest(dirty_since, hour + interval '1 hour')) filter (
        where dirty and hour + interval '1 hour' <= now()
    ) as dirty_since,
    max(recomputed_at) as last_recompute
from hours
group by feed;
comment on view dirty_status is 'hours that are over and wait for a recompute, and since when the first of them waits';

create view outbox_status as
select
    count(*) as waiting,
    min(emitted_at) as oldest
from threshold_events
where published_at is null;
comment on view outbox_status is 'threshold events that are not published yet';

create view job_status as
with jobs as (
    select job from job_runs
    union distinct
    select job from job_schedules
),

latest as (
    select distinct on (job) * -- noqa: AM04
    from job_runs
    order by job asc, run desc
),

done as (
    select
        job,
        max(run) as run,
        max(started_at) as started_at
    from job_runs
    where outcome = 'done'
    group by job
),

failed as (
    select
        job_runs.job,
        count(*) as failures
    from job_runs
    left join done on job_runs.job = done.job
    where job_runs.outcome in ('failed', 'ended') and job_runs.run > coalesce(done.run, 0)
    group by job_runs.job
)

select
    jobs.job,
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
    done.started_at as last_done,
    coalesce(failed.failures, 0) as failures
from jobs
left join job_schedules on jobs.job = job_schedules.job
left join latest on jobs.job = latest.job
left join done on jobs.job = done.job
left join failed on jobs.job = failed.job;
comment on view job_status is 'per job: its last run, the last that was done, failures since, and the next run';

-- The views that `bytemeter schedule list` and `bytemeter status` read, also with the login of the jobs.
revoke all on feed_status, dirty_status, outbox_status, job_status from bytemeter_writer;
grant select on feed_status, dirty_status, outbox_status, job_status to bytemeter_writer;
