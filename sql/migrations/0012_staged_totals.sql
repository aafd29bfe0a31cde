-- How many records a staged total is of was never asked for.
alter table staged_hourly drop column records;
alter table staged_monthly drop column records;
