-- How the running billing periods spread over the share of the plan that is used: agreements per ten percent; 100
-- stands for all that reached their limit.
select
    tenth as percent_from,
    count(*) as agreements,
    sum(total_recorded_bytes)::bigint as bytes
from plan_progress
where running
group by tenth
order by tenth;
