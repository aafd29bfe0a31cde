-- What the scheduler reads of the runs, and what it notes.

-- name: past_runs
-- Reads the runs of a job that have ended: those since an instant, and all since the last one that was done.
with done as (
    select coalesce(max(run), 0) as run from job_runs
    where job = :job and outcome = 'done'
)

select
    job_runs.since,
    job_runs.until,
    job_runs.started_at,
    job_runs.ended_at,
    job_runs.outcome
from job_runs
cross join done
where
    job_runs.job = :job and job_runs.outcome <> 'running'
    and (job_runs.started_at >= :since or job_runs.run >= done.run)
order by job_runs.run;

-- name: first_period
-- Reads the start of the first period that a scheduler ever ran.
select min(since) from job_runs
where job = :job and runner = 'schedule';

-- name: latest_run
-- Reads the number of the latest run of a job.
select max(run) from job_runs
where job = :job;

-- name: running_jobs
-- Reads the leases of jobs that are held: by runs, whoever started them, not by the scheduler itself.
select
    feed as lease,
    owner
from leases
where
    starts_with(feed, 'job/') and feed <> 'job/schedule'
    and extract(epoch from clock_timestamp() - nullif(heard_at, '-infinity')) <= silent_s;

-- name: end_lost_runs
-- Ends the rows of runs of a job that went without a word: their process is dead, or nobody holds the lease. A run
-- takes its lease before it writes its row, so that a statement that sees the row sees the lease.
update job_runs set outcome = 'ended', ended_at = :now, told = 'ended without a word, e.g. killed'
where
    job = :job and outcome = 'running'
    and (
        owner = any(cast(:dead as text[]))
        or not exists (
            select from leases
            where
                feed = :lease
                and extract(epoch from clock_timestamp() - nullif(heard_at, '-infinity')) <= silent_s
        )
    );

-- name: owners_of_runs
-- Reads who runs jobs, or did until it went without a word.
select distinct owner from job_runs
where outcome = 'running';

-- name: dirty_hours_that_are_over
-- Counts the hours that are over and have records that no recompute has seen.
select count(*) from hours
where dirty and hour + interval '1 hour' <= :now;

-- name: dirty_months_that_are_over
-- Counts the billing months that were over in time and have events that no run has seen.
select count(*) from dirty_months
where ends_at <= :before;

-- name: note_next
-- Notes when a job runs next.
insert into job_schedules (job, cron, next_at, noted_at)
values (:job, :cron, :next_at, :now)
on conflict (job) do update set
    cron = excluded.cron, next_at = excluded.next_at, noted_at = excluded.noted_at;

-- name: forget_others
-- Deletes the notes of jobs that are not scheduled any more.
delete from job_schedules
where not job = any(cast(:jobs as text[]));
