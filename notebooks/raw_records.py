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
# # Raw records, by SQL
#
# PostgreSQL has totals. What no total answers, such as "how large are records?" or "who used this antenna at ten?", the
# history answers: a Delta table for each feed with all valid records, in a folder or a bucket. DuckDB reads it by SQL, on
# this machine, without Spark.

# %%
import duckdb
import matplotlib.pyplot as plt
import pandas as pd

from serving.analysis import ask, table

duckdb.sql("set TimeZone = 'UTC'")
plt.style.use("bytemeter.mplstyle")
pd.set_option("display.width", 120)

# %% [markdown]
# `table` opens the Delta table of a feed, and its dataset can be named in DuckDB's SQL like any table. DuckDB reads only
# the columns and hours that a query needs: the table is partitioned by `event_date` and `event_hour` (UTC).

# %%
delta = table("devices")
records = delta.to_pyarrow_dataset()
duckdb.sql("describe select * from records").df()[["column_name", "column_type"]]

# %% [markdown]
# ## What counts
#
# The history keeps records as they were received. Two kinds do not count:
#
# - **duplicates**: of the records with the same event id in the same hour only the first one counts;
# - **refused records**: the live query left them out, for example because their time lies in the future. PostgreSQL lists
#   their positions in `refused_events`.
#
# The view `counted` leaves both out.

# %%
refused = ask("select partition, record_offset as \"offset\" from refused_events where feed = 'devices'")
duckdb.sql("""
    create or replace temp view counted as
    select *, date_trunc('hour', event_time) as hour
    from records anti join refused using (partition, "offset")
    qualify event_id is null or row_number() over (
        partition by event_id, hour order by partition, "offset"
    ) = 1
""")
duckdb.sql("""
    select
        (select count(*) from records) as records,
        (select count(*) from counted) as counted
""").df()

# %% [markdown]
# ## By antenna and hour: the same as `bytes_hourly`?
#
# The hourly run counts the same records by Spark. In each hour that is recomputed, and not received a record since, both
# must agree to the byte.

# %%
final_hours = ask("select hour from hours where feed = 'devices' and not dirty")
from_records = duckdb.sql("""
    select antenna_id as id, hour, sum(bytes)::bigint as bytes
    from counted semi join final_hours using (hour)
    group by all
""").df()
from_batch = ask("""
    select bytes_hourly.id, bytes_hourly.timestamp as hour, bytes_hourly.value as bytes
    from bytes_hourly
    inner join hours on hours.feed = 'devices' and hours.hour = bytes_hourly.timestamp and not hours.dirty
    where bytes_hourly.type = 'antenna_bytes_total'
""")
both = from_records.merge(from_batch, on=["id", "hour"], how="outer", suffixes=("_records", "_batch"))
assert (both["bytes_records"] == both["bytes_batch"]).all(), "history and bytes_hourly differ"
f"{len(both)} totals of {len(final_hours)} hours are equal"

# %% [markdown]
# ## Who used most?

# %%
duckdb.sql("""
    select
        id as user_id,
        round(sum(bytes) / 1e6, 2) as mb,
        count(*) as records,
        arg_max(app, bytes) as app_of_largest_record
    from counted
    group by id
    order by mb desc
    limit 5
""").df()

# %% [markdown]
# ## How large are records?

# %%
sizes = duckdb.sql("""
    select bytes // 500 * 0.5 as from_kb, count(*) as records
    from counted
    group by from_kb
    order by from_kb
""").df()
figure, axes = plt.subplots(figsize=(9, 3.2))
axes.bar(sizes["from_kb"], sizes["records"], width=0.46, align="edge")
axes.set(title="Sizes of records", xlabel="bytes of a record (kB)", ylabel="records")
plt.show()

# %% [markdown]
# **How to read it.** Each bar counts the records of half a kilobyte. Simulated phones send records of 0.5 to 10 kB, each
# size as often as any other; real ones have many small records and few large ones.
#
# **What would be wrong.** A single bar that sticks out: a sender that reports a constant, or a limit that cuts records.
#
# ## As it was before
#
# Each micro-batch of the history query is a version of the table. An earlier one shows what was known then.

# %%
now = delta.version()
earlier = table("devices", version=now // 2).to_pyarrow_dataset()
growth = duckdb.sql("""
    select
        (select count(*) from earlier) as records_then,
        (select count(*) from records) as records_now
""").df()
assert (growth["records_then"] <= growth["records_now"]).all()
growth.assign(version_then=now // 2, version_now=now)
