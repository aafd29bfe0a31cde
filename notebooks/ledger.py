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
# # The ledger explained
#
# Where did every message go? For each partition of each feed the table `ledger` says how many messages were received,
# and what became of them:
#
# > received = counted + duplicate + invalid + unmatched + voids
#
# It changes in the same transaction as the totals, so it is never ahead of them and never behind.

# %%
import matplotlib.pyplot as plt
import pandas as pd

from serving.analysis import ask

plt.style.use("bytemeter.mplstyle")
pd.set_option("display.width", 120)

# %% [markdown]
# ## The equation, partition by partition
#
# | column | means |
# |---|---|
# | counted | added to the totals |
# | duplicate | its event id was counted before, in the same event hour |
# | invalid | breaks a rule of the feed; see below which one |
# | unmatched | of a number without an agreement; it waits, and counts once the agreement comes |
# | voids | takes back an earlier record (not in use yet) |

# %%
ledger = ask("""
    select feed, partition, received, counted, duplicate, invalid, unmatched, voids
    from ledger
    order by feed, partition
""").set_index(["feed", "partition"])
ledger

# %%
OUTCOMES = ["counted", "duplicate", "invalid", "unmatched", "voids"]
assert (ledger["received"] == ledger[OUTCOMES].sum(axis=1)).all(), "the ledger does not balance"
f"all {len(ledger)} partitions balance: {ledger['received'].sum():,} messages received"

# %%
others = [outcome for outcome in OUTCOMES[1:] if ledger[outcome].any()]
shares = 100 * ledger[others].div(ledger["received"], axis=0)
names = [f"{feed} {partition}" for feed, partition in shares.index]
figure, axes = plt.subplots()
left = 0 * shares[others[0]].to_numpy() if others else 0
for color, outcome in enumerate(others, start=1):
    axes.barh(names, shares[outcome], left=left, color=f"C{color}", label=outcome)
    left = left + shares[outcome].to_numpy()
axes.invert_yaxis()
axes.grid(visible=False, axis="y")
axes.set(title="What was received and not counted", xlabel="% of the partition's messages", ylabel="feed and partition")
axes.legend(loc="lower right")
plt.show()

# %% [markdown]
# **How to read it.** What is missing to 100 % was counted. Partitions of one feed should look alike; one number always
# goes to the same partition, so a single busy subscriber without an agreement shows as a long bar of one partition.
#
# **What would be wrong.** A share that jumps from one day to the next: senders that repeat themselves (duplicate), a new
# version of a sender (invalid), or agreements that do not arrive (unmatched).
#
# ## Which rule do invalid messages break?

# %%
invalid = ask("""
    select feed, reason, count(*) as messages, min(length) as shortest, max(length) as longest
    from invalid_events
    group by feed, reason
    order by feed, messages desc, reason
""")
invalid.groupby("feed").head(4)

# %% [markdown]
# Each invalid message is listed with its position, and the beginning of what was received. So the list and the ledger
# have to agree, and so do the lists of duplicates and of records that wait for an agreement.

# %%
listed = ask("""
    select
        feed,
        sum(duplicate)::bigint as duplicate,
        (select count(*) from duplicate_events where duplicate_events.feed = ledger.feed) as duplicates_listed,
        sum(invalid)::bigint as invalid,
        (select count(*) from invalid_events where invalid_events.feed = ledger.feed) as invalid_listed,
        sum(unmatched)::bigint as unmatched,
        case feed when 'data-records' then (select count(*) from unmatched_records) else 0 end as unmatched_listed
    from ledger
    group by feed
    order by feed
""").set_index("feed")
for outcome, list_of in (("duplicate", "duplicates"), ("invalid", "invalid"), ("unmatched", "unmatched")):
    assert (listed[outcome] == listed[f"{list_of}_listed"]).all(), f"{outcome}: the ledger and the list differ"
listed

# %% [markdown]
# ## What waits on Kafka?
#
# The ledger ends where the next message will be read (`next_offset`). The process that counts asks Kafka every few
# seconds where the topics end (`topic_ends`). The difference is the lag: messages that are on Kafka and not yet counted.

# %%
waiting = ask("""
    select feed, partition, next_offset, end_offset, lag
    from feed_progress
    order by feed, partition
""").set_index(["feed", "partition"])
assert (waiting["next_offset"] + waiting["lag"] >= waiting["end_offset"]).all()
waiting

# %% [markdown]
# **What would be wrong.** A lag that grows. Or a lag of 0 with an old `observed_at` (the view has it, too): then nobody
# has looked for a while, and the process that counts does not run.
#
# ## Which duplicates were not found live?
#
# The live query keeps event ids for a set time behind the newest records, its *horizon*. Records behind it count
# whatever their id; the ledger says how many there were, and the recompute removes the duplicates among them.

# %%
ask("""
    select
        feed,
        max(latest_event_time) - max(identity_horizon) as horizon_is_behind_by,
        sum(behind_horizon)::bigint as records_behind_horizon
    from ledger
    group by feed
    order by feed
""")
