-- Totals of a feed may be decimals. What Spark stages is compared as numeric; tables of whole numbers stay bigint.
alter table staged_hourly alter column value type numeric;
alter table staged_monthly alter column value type numeric;
