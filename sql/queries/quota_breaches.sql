-- Users over their hourly quota, latest hours first.
select
    email,
    timestamp,
    usage,
    quota,
    source
from quota_breaches
order by timestamp desc, usage desc
limit 8;
