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
# # The network's day
#
# Which apps and antennas carried the traffic of the last 24 hours, which of these figures are final, and by how much
# did the hourly recompute change what the live query had counted?

# %%
import duckdb
import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import pandas as pd

from serving.analysis import ask, table

plt.style.use("bytemeter.mplstyle")
pd.set_option("display.width", 120)
HOUR = pd.Timedelta(hours=1)

# %% [markdown]
# ## Bytes per hour and app
#
# `usage_hourly` serves each hour from one of two sources: `batch`, once the hour is recomputed, or `live`, before that
# and again when a late record has arrived. The SQL of this page can be pasted into `bytemeter psql`.

# %%
apps = ask("""
    select timestamp, id as app, value as bytes, source
    from usage_hourly
    where
        type = 'app_bytes_total'
        and timestamp > (select max(timestamp) - interval '24 hours' from usage_hourly)
    order by timestamp, app
""")
largest = apps.groupby("app")["bytes"].sum().nlargest(5)
(largest / 1e6).round(1).rename("MB").to_frame()

# %%
group = apps["app"].where(apps["app"].isin(largest.index), "all others")
per_hour = apps.assign(app=group).pivot_table(index="timestamp", columns="app", values="bytes", aggfunc="sum") / 1e6
per_hour = per_hour.reindex(columns=[*largest.index, "all others"]).fillna(0)

figure, axes = plt.subplots()
base = per_hour.cumsum(axis=1) - per_hour
for app in per_hour:
    axes.bar(per_hour.index, per_hour[app], bottom=base[app], width=0.9 * HOUR, align="edge", label=app)
for n, hour in enumerate(apps.loc[apps["source"] == "live", "timestamp"].unique()):
    axes.axvspan(hour, hour + HOUR, color="#f3ead2", zorder=0, label=None if n else "served from live")
axes.xaxis.set_major_formatter(mdates.DateFormatter("%H:%M"))
axes.set(title="The last 24 hours by app", xlabel="hour (UTC)", ylabel="MB per hour")
axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# **How to read it.** Each bar is an hour of event time: what the phones used in it, whenever the records came. White
# background: recomputed from the complete history, final until a later record arrives. Shaded: the live count. The last
# hour is usually not over yet, so its bar is low.
#
# **What would be wrong.** An hour in the middle of the day without a bar, or shaded hours that stay shaded although the
# hourly run is due.
#
# ## The busiest antennas

# %%
antennas = ask("""
    select antenna, count(*) as hours_busiest, round(max(bytes) / 1e6, 2) as busiest_hour_mb,
        max(percent_of_hour) as highest_percent_of_hour
    from busiest_antennas
    where timestamp > (select max(timestamp) - interval '24 hours' from usage_hourly)
    group by antenna
    order by hours_busiest desc, antenna
""")
antennas

# %% [markdown]
# Each record has one app and one antenna. So in every hour the apps' bytes and the antennas' bytes have the same sum.

# %%
sums = ask("""
    select
        timestamp,
        sum(value) filter (where type = 'app_bytes_total')::bigint as by_app,
        sum(value) filter (where type = 'antenna_bytes_total')::bigint as by_antenna
    from usage_hourly
    group by timestamp
    order by timestamp
""")
assert (sums["by_app"] == sums["by_antenna"]).all(), "an hour has other bytes by app than by antenna"
f"{len(sums)} hours: bytes by app equal bytes by antenna in each"

# %% [markdown]
# ## Live against batch
#
# The live query drops duplicates as far back as its horizon. A duplicate that is older counts until the recompute finds
# it in the history. `live_against_batch` has both figures of each hour. The difference is what the recompute took away
# (or will put right, where the hour is served from live again because late records came).

# %%
hours = ask("""
    select timestamp, live_bytes, batch_bytes, difference, served_from
    from live_against_batch
    where batch_bytes is not null
    order by timestamp
""")
hours["percent"] = 100 * hours["difference"] / hours["live_bytes"]
changed = hours[hours["difference"] != 0]
f"{len(changed)} of {len(hours)} recomputed hours differ, by {changed['difference'].sum() / 1e6:.2f} MB in all"

# %%
figure, (above, under) = plt.subplots(2, 1, sharex=True, figsize=(9, 5), height_ratios=(2, 1))
above.step(hours["timestamp"], hours["live_bytes"] / 1e6, where="post", label="live")
above.step(hours["timestamp"], hours["batch_bytes"] / 1e6, where="post", linestyle="--", label="batch")
above.set(title="What was counted live, and what the recompute found", ylabel="MB per hour")
above.legend(loc="upper right")
for source, color in (("batch", "C1"), ("live", "C5")):
    part = hours[hours["served_from"] == source]
    under.bar(part["timestamp"], part["percent"], width=0.9 * HOUR, align="edge", color=color, label=f"from {source}")
under.xaxis.set_major_formatter(mdates.ConciseDateFormatter(under.xaxis.get_major_locator()))
under.set(xlabel="hour (UTC)", ylabel="batch − live, %")
under.legend(title="hour is served", loc="lower left", ncols=2)
plt.show()

# %% [markdown]
# **How to read it.** Bars below zero: the live count was too high, by duplicates that were older than the horizon. Hours
# that are served from live have received records since they were recomputed; the next hourly run replaces them.
#
# **What would be wrong.** Bars above zero in hours that are served from batch: live would have missed records.
#
# ## How late are records?
#
# A record is late if its event time lies before an event time that its partition had already. Only the history has each
# record with its position, so this question goes to the Delta table (the notebook `raw_records` explains how). Records
# that the live query refused, such as those from the future, are left out: `refused_events` lists them.

# %%
devices = table("devices").to_pyarrow_dataset()
refused = ask("select partition, record_offset as \"offset\" from refused_events where feed = 'devices'")
late = duckdb.sql("""
    with positions as (
        select event_time, max(event_time) over (
            partition by partition order by "offset" rows between unbounded preceding and 1 preceding
        ) - event_time as late_by
        from devices anti join refused using (partition, "offset")
    )
    select
        count(*) as records,
        count(*) filter (where late_by > interval '1 minute') as late,
        round(100 * count(*) filter (where late_by > interval '1 minute') / count(*), 1) as percent,
        max(late_by) as latest_by
    from positions
""").df()
late

# %% [markdown]
# **How to read it.** One or two percent of late records are usual: phones without reception send later. They are added
# to the hour in which the bytes were used, and mark it for the next recompute.
