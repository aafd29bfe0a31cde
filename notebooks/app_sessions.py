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
# # What people do in the apps
#
# Apps report each step of a session as an event of [telemetry](../telemetry.md). The history of the feed `telemetry` has
# every valid event: the fields that are counted as columns, and the event as it was received in `raw`. Six questions, each
# answered by DuckDB on this machine.

# %%
import duckdb
import matplotlib.pyplot as plt
import pandas as pd

from serving.analysis import ask, table

duckdb.sql("set TimeZone = 'UTC'")
plt.style.use("bytemeter.mplstyle")
pd.set_option("display.width", 120)

# %% [markdown]
# The history keeps an event as often as it was received. Of the events with the same `mid` in the same hour the first one
# counts; LOG events have no `mid` to go by. A session is what has the same `context.sid`.

# %%
received = table("telemetry").to_pyarrow_dataset()
duckdb.sql("""
    create or replace temp table events as
    select *, raw->>'$.context.sid' as session, date_trunc('hour', event_time) as hour
    from received
    qualify mid is null or row_number() over (partition by mid, hour order by partition, "offset") = 1
""")
from_events = duckdb.sql("select eid, count(*) as events from events group by eid").df()
from_counts = ask("""
    select id as eid, sum(value)::bigint as counted
    from event_counts where feed = 'telemetry' and dimension = 'eid' group by id
""")
both = from_events.merge(from_counts, on="eid", how="outer")
assert (both["events"] == both["counted"]).all(), "history and event_counts differ"
f"{both['events'].sum():,} events of {len(both)} kinds are counted"

# %% [markdown]
# ## 1. How long is a session?

# %%
sessions = duckdb.sql("""
    select session, any_value(actor) as actor, min(event_time) as began,
        epoch(max(event_time) - min(event_time)) / 60 as minutes, count(*) as events
    from events where session is not null group by session
""").df()
figure, axes = plt.subplots(figsize=(9, 3.2))
axes.hist(sessions["minutes"], bins=40)
axes.set(title="Length of sessions", xlabel="from the first to the last event (minutes)", ylabel="sessions")
plt.show()

# %% [markdown]
# **How to read it.** Each bar counts the sessions of that length. Simulated apps are heard for four hours of each day: what
# then still goes on is cut off, as the right half shows. **What would be wrong.** A bar at a round number: an app that ends
# sessions by a timer.
#
# ## 2. How far do sessions come?

# %%
duckdb.sql("""
    with reached as (
        select session,
            bool_or(eid = 'START') as started, bool_or(eid = 'IMPRESSION') as saw_a_page,
            bool_or(eid = 'INTERACT') as touched_it, bool_or(eid = 'ASSESS') as answered, bool_or(eid = 'END') as ended
        from events where session is not null group by session
    )
    unpivot (
        select count(*) filter (started) as started, count(*) filter (saw_a_page) as saw_a_page,
            count(*) filter (touched_it) as touched_it, count(*) filter (answered) as answered,
            count(*) filter (ended) as ended
        from reached
    ) on columns(*) into name step value sessions
""").df()

# %% [markdown]
# ## 3. Which contents hold people?

# %%
duckdb.sql("""
    select content, count(distinct actor) as people, count(distinct session) as sessions, count(*) as events,
        round(count(*) / count(distinct session), 1) as events_per_session
    from events where content is not null and actor_type = 'User'
    group by content order by people desc, content limit 8
""").df()

# %% [markdown]
# ## 4. Which questions are hard?

# %%
duckdb.sql("""
    select raw->>'$.edata.item.id' as question, count(*) as answers,
        round(100 * avg((lower(raw->>'$.edata.pass') = 'yes')::int)) as right_percent,
        round(avg(duration), 1) as seconds
    from events where eid = 'ASSESS' group by question having count(*) > 1
    order by right_percent, answers desc, question limit 8
""").df()

# %% [markdown]
# ## 5. Who comes back?
#
# Active users of each UTC day, and how many of them were there the day before. `telemetry_active_users` counts the same.

# %%
days = duckdb.sql("""
    with active as (select distinct event_date as day, actor from events where actor_type = 'User' and actor is not null)
    select today.day, count(*) as users, count(before.actor) as came_back
    from active as today left join active as before on before.actor = today.actor and before.day = today.day - 1
    group by today.day order by today.day
""").df()
counted = ask("select day, users from telemetry_active_users order by day")
assert days["users"].tolist() == counted["users"].tolist(), "active users differ"
days

# %% [markdown]
# ## 6. What fails, and whose is it?
#
# Invalid events are in a history of their own, as they were received.

# %%
invalid = table("telemetry.invalid").to_pyarrow_dataset()
duckdb.sql("""
    select regexp_replace(reason, ': .*', '') as reason, count(*) as events,
        string_agg(distinct try_cast(try(decode(value)) as json)->>'$.context.pdata.ver', ', ') as versions_of_apps
    from invalid group by all order by events desc, reason limit 8
""").df()
