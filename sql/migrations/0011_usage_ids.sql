-- By which the live query updates rows: 8 bytes instead of a text and an instant, and found in the order of the table.
alter table data_plan_usage add column usage_id bigint not null generated always as identity;
create unique index data_plan_usage_usage_id on data_plan_usage (usage_id);
comment on column data_plan_usage.usage_id is 'stands for (agreement_id, period_start)';

alter table plan_segments add column usage_id bigint;
update plan_segments as s set usage_id = u.usage_id
from data_plan_usage as u
where u.agreement_id = s.agreement_id and u.period_start = s.period_start;
comment on column plan_segments.usage_id is 'of the row of data_plan_usage; null until a record has been counted';
