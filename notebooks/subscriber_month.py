# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A subscriber's month
#
# How did one subscriber's usage grow over a billing period, when did it reach each threshold of the plan, and where will
# it end? Billing periods are months in the agreement's own time zone, so all times of this page are local.

# %%
import duckdb
import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from serving.analysis import ask, table

plt.style.use("bytemeter.mplstyle")
pd.set_option("display.width", 120)
GB = 1e9

# %% [markdown]
# ## Which subscriber?
#
# One whose period is still open, who has crossed a threshold in it, and whose usage is nearest to 80 % of the plan. For
# another one, replace the last lines by `where plan_progress.msisdn = '48…'`.

# %%
period = ask("""
    select
        plan_progress.agreement_id,
        plan_progress.msisdn,
        plan_progress.billing_period_time_zone as zone,
        plan_progress.period_start,
        plan_progress.period_end,
        plan_progress.total_recorded_bytes as total,
        plan_progress.max_bytes_in_billing_period as plan_limit,
        agreements.thresholds
    from plan_progress
    inner join agreements on plan_progress.agreement_id = agreements.id
    where
        plan_progress.status = 'open'
        and exists (
            select 1
            from threshold_events
            where
                threshold_events.agreement_id = plan_progress.agreement_id
                and threshold_events.period_start = plan_progress.period_start
                and threshold_events.threshold_percent is not null
        )
    order by abs(plan_progress.percent_used - 80), plan_progress.msisdn
    limit 1
""").iloc[0]
period

# %% [markdown]
# ## When was each threshold reached?
#
# A threshold event names the record that crossed it. The event is sent once, the moment that the record is counted.

# %%
crossings = ask(f"""
    select threshold_percent, threshold_bytes, total_recorded_bytes, latest_recorded_at, latest_internal_record_id
    from threshold_events
    where
        agreement_id = '{period["agreement_id"]}'
        and period_start = '{period["period_start"]}'
        and threshold_percent is not null
    order by threshold_percent
""")
crossings["local_time"] = crossings["latest_recorded_at"].dt.tz_convert(period["zone"])
crossings[["threshold_percent", "threshold_bytes", "total_recorded_bytes", "local_time", "latest_internal_record_id"]]

# %% [markdown]
# ## How the total grew
#
# The total of the period is in `data_plan_usage`; the way to it is in the history: the subscriber's records, each once.

# %%
history = table("data-records").to_pyarrow_dataset()
refused = ask("select partition, record_offset as \"offset\" from refused_events where feed = 'data-records'")
days = duckdb.sql(f"""
    select event_time, "recordedBytes" as bytes
    from history anti join refused using (partition, "offset")
    where
        msisdn = '{period["msisdn"]}'
        and event_time >= '{period["period_start"]}'
        and event_time < '{period["period_end"]}'
    qualify row_number() over (partition by id, date_trunc('hour', event_time) order by partition, "offset") = 1
    order by event_time
""").df()
days["event_time"] = pd.to_datetime(days["event_time"], utc=True).dt.tz_convert(period["zone"])
days["total"] = days["bytes"].cumsum()
assert days["total"].iloc[-1] == period["total"], (
    "the records do not add up to the total; has the monthly run to put it right?"
)
f"{len(days)} records add up to the period's {period['total'] / GB:.3f} GB"

# %% [markdown]
# ## Where will it end?
#
# The simplest projection: the rest of the period is like the days so far. Its uncertainty comes from the same days: we
# draw as many days as are left from those that have passed, with repetition, a thousand times (a bootstrap). Nine of ten
# of these endings lie in the band.

# %%
start, end = (period[name].tz_convert(period["zone"]) for name in ("period_start", "period_end"))
seen = ask("select max(latest_event_time) as seen from ledger where feed = 'data-records'")["seen"].iloc[0]
seen = seen.tz_convert(period["zone"])
DAY = pd.Timedelta(days=1)
whole = pd.date_range(start, seen, freq=DAY)
per_day, _ = np.histogram(days["event_time"], bins=whole, weights=days["bytes"])
left = (end - seen) / DAY

rng = np.random.default_rng(7)
ahead = np.arange(1, int(np.ceil(left)) + 1)
share = np.clip(left - (ahead - 1), 0, 1)
paths = period["total"] + (rng.choice(per_day, (1_000, len(ahead))) * share).cumsum(axis=1)
low, middle, high = np.quantile(paths, [0.05, 0.5, 0.95], axis=0)
projection = pd.DataFrame({"at the end (GB)": [low[-1], middle[-1], high[-1]]}, index=["5 %", "median", "95 %"]) / GB
projection.round(2)

# %%
figure, axes = plt.subplots(figsize=(9, 4.5))
axes.step(days["event_time"], days["total"] / GB, where="post", label="used")
future = [seen, *(min(seen + day * DAY, end) for day in ahead)]
with_now = [np.insert(edge, 0, period["total"]) / GB for edge in (low, middle, high)]
axes.fill_between(future, with_now[0], with_now[2], color="C0", alpha=0.2, label="9 of 10 endings")
axes.plot(future, with_now[1], color="C0", linestyle="--", label="median")
for percent in period["thresholds"]:
    level = percent * period["plan_limit"] / 100 / GB
    axes.axhline(level, color="C1" if percent == 100 else "C5", linewidth=1)
    axes.annotate(f"{percent} %", (start, level), xytext=(2, 2), textcoords="offset points", fontsize=9)
axes.plot(crossings["local_time"], crossings["threshold_bytes"] / GB, "o", color="C1", label="threshold event")
axes.xaxis.set_major_locator(mdates.DayLocator((1, 6, 11, 16, 21, 26), tz=start.tz))
axes.xaxis.set_major_formatter(mdates.DateFormatter("%d %b", tz=start.tz))
axes.set(title=f"Subscriber {period['msisdn']}, period from {start:%d %B %Y}", xlabel=f"local time ({period['zone']})")
axes.set(ylabel="used since the period began (GB)", xlim=(start, end), ylim=(0, None))
axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# **How to read it.** The line is what was counted. It passes each threshold at the dot: the event names that very record.
# The orange line is the limit of the plan. Where the band lies above it, the subscriber will exceed the plan unless usage
# changes.
#
# **What would be wrong.** A line that passes a threshold without a dot: an event is missing (the monthly run would send
# it). A dot below its threshold: an event that came too early.
#
# ## What this projection cannot know
#
# It takes days for alike: weekends, holidays, and a subscriber who saves data because the limit is near. The notebook
# `who_will_exceed` measures how wrong such projections are.

# %%
reached = crossings["threshold_bytes"] <= crossings["total_recorded_bytes"]
assert reached.all(), "an event came before its threshold was reached"
due = [percent for percent in period["thresholds"] if period["total"] >= -(-percent * period["plan_limit"] // 100)]
assert set(due) <= set(crossings["threshold_percent"]), "a threshold was passed without an event"
f"{len(crossings)} threshold events, each at or above its threshold; none is missing"
