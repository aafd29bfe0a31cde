-- The record of runs.

-- name: end_lost_runs
-- Ends the rows of runs that went without a word: their lease is held by the run that executes this.
update job_runs set outcome = 'ended', ended_at = :now, told = 'ended without a word, e.g. killed'
where job = any(cast(:jobs as text[])) and outcome = 'running';

-- name: begin_run
-- Records a run that begins.
insert into job_runs (job, since, until, runner, owner, started_at)
values (:job, :since, :until, :runner, :owner, :now)
returning run;

-- name: end_run
-- Records how a run ended; nothing if a successor has taken it for lost.
update job_runs set outcome = :outcome, ended_at = :now, told = :told
where run = :run and outcome = 'running';
