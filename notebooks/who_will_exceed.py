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
# # Who will exceed the plan?
#
# A week into a billing period: which subscribers will be over their limit at its end? A service could offer them a larger
# plan now. The model has two numbers that are learned, and its error is measured on subscribers that it has never seen.

# %%
import duckdb
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from serving.analysis import ask, table

plt.style.use("bytemeter.mplstyle")
pd.set_option("display.width", 120)
GB, DAYS = 1e9, 7
DAY = pd.Timedelta(days=1)

# %% [markdown]
# ## Billing periods, each with the one before
#
# An agreement that began within a period used less of it, so paces are bytes per day of service.

# %%
periods = ask("""
    select
        plan_progress.agreement_id,
        plan_progress.msisdn,
        plan_progress.status,
        greatest(plan_progress.period_start, agreements.service_start_at) as served_from,
        plan_progress.period_end,
        plan_progress.total_recorded_bytes as total,
        plan_progress.max_bytes_in_billing_period as plan_limit
    from plan_progress
    inner join agreements on plan_progress.agreement_id = agreements.id
    where plan_progress.period_end > agreements.service_start_at
    order by plan_progress.agreement_id, plan_progress.period_start
""")
periods["days"] = (periods["period_end"] - periods["served_from"]) / DAY
before = periods.groupby("agreement_id")[["total", "days", "status"]].shift()
periods["pace_before"] = before["total"] / before["days"]
usable = (before["status"] == "closed") & (before["days"] > 2) & (periods["days"] > 25)
periods = periods[usable].reset_index(drop=True)
periods.groupby("status").size().rename("periods").to_frame()

# %% [markdown]
# ## What was used in the first days
#
# PostgreSQL has the totals of whole periods; the way to them is in the history. Of closed periods we look at the first
# seven days only, as if the rest were not known; of open ones at all that has passed.

# %%
seen = ask("select max(latest_event_time) as seen from ledger where feed = 'data-records'")["seen"].iloc[0]
is_open = periods["status"] == "open"
periods["looked_until"] = (periods["served_from"] + DAYS * DAY).where(~is_open, seen)
periods["known_days"] = (periods["looked_until"] - periods["served_from"]) / DAY

history = table("data-records").to_pyarrow_dataset()
refused = ask("select partition, record_offset as \"offset\" from refused_events where feed = 'data-records'")
known = duckdb.sql("""
    with counted as (
        select msisdn, event_time, "recordedBytes" as bytes
        from history anti join refused using (partition, "offset")
        qualify row_number() over (partition by id, date_trunc('hour', event_time) order by partition, "offset") = 1
    )
    select periods.agreement_id, periods.served_from, sum(counted.bytes)::double as known
    from periods
    inner join counted
        on counted.msisdn = periods.msisdn
        and counted.event_time >= periods.served_from
        and counted.event_time < periods.looked_until
    group by all
""").df()
known["served_from"] = pd.to_datetime(known["served_from"], utc=True)
periods["served_from"] = pd.to_datetime(periods["served_from"], utc=True)
periods = periods.merge(known, on=["agreement_id", "served_from"], how="left").fillna({"known": 0.0})
assert (periods["known"] <= periods["total"]).all(), "the first days have more bytes than the whole period"

# %% [markdown]
# ## The model
#
# > pace = (k × pace of the period before + days × pace of these days) / (k + days)
# >
# > total = used so far + days left × pace
#
# **k** says how many days of the present the period before is worth: with 0 only the present counts (the naive run rate).
# The second learned number is the **spread** of the error. Usage is made of single records, so the error of what is left
# grows with its square root. Both are learned from half of the subscribers whose period is closed.


# %%
def rest(of: pd.DataFrame, k: float) -> pd.Series:
    """Bytes still to come in the period."""
    pace = (k * of["pace_before"] + of["known"]) / (k + of["known_days"])
    return (pace * (of["days"] - of["known_days"])).clip(lower=0)


closed = periods[periods["status"] == "closed"]
assert len(closed) >= 40, (
    f"{len(closed)} closed periods are too few to learn from; `bytemeter demo --backlog` makes some"
)
learning = closed.sample(frac=0.5, random_state=7)
held_out = closed.drop(learning.index)

errors = {k: (learning["known"] + rest(learning, k) - learning["total"]).abs().mean() for k in range(61)}
k = min(errors, key=errors.get)
expected = rest(learning, k)
spread = ((learning["total"] - learning["known"] - expected) / np.sqrt(expected + 1)).std()
f"learned from {len(learning)} periods: the period before is worth {k} days; spread {spread:,.0f} bytes^½"

# %% [markdown]
# From expected rest and spread follows the probability that what is left of the plan will be used up.


# %%
def probability(of: pd.DataFrame) -> np.ndarray:
    """That the period ends at or over the limit, by the normal distribution."""
    to_come = rest(of, k)
    z = (of["plan_limit"] - of["known"] - to_come) / (spread * np.sqrt(to_come + 1))
    # The normal distribution's upper tail, by its logistic approximation (error below 0.01).
    return 1 / (1 + np.exp(np.clip(1.702 * z, -60, 60)))


def judged(of: pd.DataFrame, total: pd.Series, chance: pd.Series) -> dict[str, float]:
    """Errors of a forecast: of totals in GB, of probabilities (Brier score), of the list of those above one half."""
    over, listed = of["total"] >= of["plan_limit"], chance >= 0.5
    return {
        "mean error of the total (GB)": (total - of["total"]).abs().mean() / GB,
        "Brier score": ((chance - over) ** 2).mean(),
        "listed": listed.sum(),
        "precision": (listed & over).sum() / max(listed.sum(), 1),
        "recall": (listed & over).sum() / max(over.sum(), 1),
    }


forecasts = {
    "the same as last period": held_out["pace_before"] * held_out["days"],
    "run rate of these days": held_out["known"] + rest(held_out, 0),
    "model": held_out["known"] + rest(held_out, k),
}
chances = {name: (total >= held_out["plan_limit"]).astype(float) for name, total in forecasts.items()}
chances["model"] = probability(held_out)
error = pd.DataFrame({name: judged(held_out, forecasts[name], chances[name]) for name in forecasts}).T
error.round(3)

# %% [markdown]
# The error is that of the held-out half: no number above was learned from it. Less is better for the first two columns.
# The *Brier score* is the mean square of (probability − what happened): 0 is perfect. *Precision* is the share of listed
# subscribers who did exceed, *recall* the share of those who exceeded that were listed.

# %%
over = held_out["total"] >= held_out["plan_limit"]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2))
for name, marker in (("run rate of these days", "x"), ("model", "o")):
    size = held_out["total"] / GB
    left.plot(size, forecasts[name] / GB, marker, markersize=4, alpha=0.7, label=name)
bounds = [held_out["total"].min() / GB, held_out["total"].max() / GB]
left.plot(bounds, bounds, color="C5", linewidth=1)
left.set(xscale="log", yscale="log", title="Held-out subscribers: total of the period")
left.set(xlabel="actual (GB)", ylabel=f"forecast after {DAYS} days (GB)")
left.legend(loc="upper left")

groups = pd.cut(chances["model"], [0, 0.1, 0.5, 0.9, 1], include_lowest=True)
calibration = pd.DataFrame({"said": chances["model"], "happened": over, "group": groups}).groupby(
    "group", observed=True
)
points, sizes = 100 * calibration.mean(), calibration.size()
by_chance = np.sqrt(points["said"] * (100 - points["said"]) / sizes)
right.plot([0, 100], [0, 100], color="C5", linewidth=1)
right.errorbar(points["said"], points["happened"], yerr=2 * by_chance, fmt="o", color="C1", ecolor="#e9b896")
for said, happened, size in zip(points["said"], points["happened"], sizes, strict=True):
    side = -1 if said > 50 else 1
    right.annotate(f"{size} subscribers", (said, happened), xytext=(8 * side, 6), textcoords="offset points",
                   fontsize=9, ha="left" if side > 0 else "right")  # fmt: skip
right.set_ylim(-8, 108)
right.set(title="Is a probability what it says?", xlabel="probability said (%)", ylabel="exceeded in fact (%)")
plt.show()

# %% [markdown]
# **How to read it.** Left: on the grey line a forecast is exact. Right: of the subscribers for whom the model said 30 %,
# about 30 % should exceed, so points should lie near the grey line. The thin lines say how far off chance alone brings a
# group of that size in 19 of 20 cases.
#
# **What would be wrong.** Points that lie far below the line on the right: the model cries wolf. A model whose error is
# not below that of the run rate: then use the run rate.
#
# ## Who will exceed the running period?
#
# Those whose limit is not reached yet, the most likely first.

# %%
running = periods[is_open.to_numpy() & (periods["total"] < periods["plan_limit"]).to_numpy()]
likely = running.assign(
    used_gb=running["total"] / GB,
    limit_gb=running["plan_limit"] / GB,
    expected_gb=(running["known"] + rest(running, k)) / GB,
    days_left=running["days"] - running["known_days"],
    probability=probability(running),
).sort_values(["probability", "msisdn"], ascending=[False, True])
columns = ["msisdn", "used_gb", "limit_gb", "days_left", "expected_gb", "probability"]
likely.loc[likely["probability"] >= 0.1, columns].head(15).round(2)

# %% [markdown]
# **What it cannot know.** Simulated subscribers keep their pace; people have holidays, and slow down when a threshold
# event warns them. Learn k and spread again each month, and look at the error before you act on the list.
