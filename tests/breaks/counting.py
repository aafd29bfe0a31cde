"""Breaks of the rules of counting: data plans, the outbox, the history, recomputes, deduplication, the ledger."""

from __future__ import annotations

from tests.breaks.rule import Break

LIFE = "tests/integration/test_life.py::test_a_life_has_the_totals_owners_events_and_states_of_an_independent_recomputation"
VERSIONS = "tests/bytemeter/plans/test_versions.py"
OUTBOX = "tests/bytemeter/plans/test_outbox.py"
MONTHLY = "tests/batch_layer/monthly/test_store.py"
RESTORES = "tests/bytemeter/history/test_restores.py"
TOTALS_PARTS = "tests/speed_layer/executor/test_totals_parts.py"
LIVE_STORE = "tests/speed_layer/engine/test_live_store.py"

BREAKS = (
    Break(
        "stored boundaries of billing periods stay; new years meet them exactly",
        "bytemeter/plans/calendars.py",
        "before[-1] = replace(before[-1], end=stored.start)",
        "pass",
        LIFE,
    ),
    Break(
        "PostgreSQL refuses billing periods that overlap",
        "sql/migrations/0036_periods_own_their_terms.sql",
        "tstzrange(period_start, period_end) with &&",
        "tstzrange(period_start, period_end) with =",
        "tests/bytemeter/plans/test_calendars.py::test_postgresql_refuses_periods_that_overlap",
    ),
    Break(
        "of a month that an earlier version stored twice the first period stays",
        "sql/migrations/0035_overlapping_periods.sql",
        "order by time_zone, anchor_day, year, month, place\n",
        "order by time_zone, anchor_day, year, month, place desc\n",
        "tests/bytemeter/test_migrations.py"
        "::test_of_each_month_the_period_that_was_stored_first_stays_and_the_months_are_named",
    ),
    Break(
        "a closed period keeps its limit",
        "bytemeter/plans/agreements.sql",
        "u.agreement_id = any(cast(:ids as text[])) and u.status = 'open'",
        "u.agreement_id = any(cast(:ids as text[]))",
        LIFE,
    ),
    Break(
        "a limit without `effectiveFrom` counts at once",
        "sql/migrations/0038_agreement_versions.sql",
        "and (v.effective_from < ends_at or v.given_from is null)",
        "and v.effective_from < ends_at",
        LIFE,
    ),
    Break(
        "a version holds from its `effectiveFrom`, not from when it came",
        "bytemeter/plans/versions.py",
        "starts.append((message.given_from or by_itself, message))",
        "starts.append((by_itself, message))",
        LIFE,
    ),
    Break(
        "a first message holds from `serviceStartAt`",
        "bytemeter/plans/versions.py",
        "by_itself = message.received_at if begun else message.service_start_at",
        "by_itself = message.received_at",
        LIFE,
    ),
    Break(
        "an agreement owns no record after its `serviceEndAt`",
        "bytemeter/plans/versions.py",
        "return min(self.holds_until, self.message.service_end_at or FOREVER)",
        "return self.holds_until",
        LIFE,
    ),
    Break(
        "the agreement with the latest start owns a record",
        "bytemeter/plans/services.py",
        "_service(max(candidates, key=_rank), begin, end)",
        "_service(min(candidates, key=_rank), begin, end)",
        LIFE,
    ),
    Break(
        "ownership that was read is forgotten when a version changes it",
        "speed_layer/plans/counting.py",
        "owners.forget(connection, changes.msisdns)",
        "pass",
        LIFE,
    ),
    Break(
        "records that wait are counted with the agreement that brings them an owner",
        "speed_layer/plans/one_by_one.py",
        "released = _release(connection, changed_msisdns)",
        "released = _release(connection, ())",
        LIFE,
    ),
    Break(
        "the later message wins by Kafka's clock, then by offset",
        "bytemeter/plans/versions.py",
        "return (self.received_at, self.offset, self.partition)",
        "return (self.partition, self.offset, self.received_at)",
        f"{VERSIONS}::test_the_later_message_wins_by_kafkas_clock_and_then_by_its_offset",
        servers=False,
    ),
    Break(
        "event time is never ahead of the clock",
        "speed_layer/plans/query.py",
        "event_time = min(event_time, now)",
        "pass",
        "tests/speed_layer/engine/test_progress.py::test_records_ahead_of_the_clock_close_no_period_before_its_time",
    ),
    Break(
        "whoever starts publishes what waits, whatever its source",
        "bytemeter/plans/outbox.sql",
        "where published_at is null\norder by",
        "where published_at is null and source = 'live'\norder by",
        f"{OUTBOX}::test_two_processes_publish_in_the_order_in_which_events_were_written",
    ),
    Break(
        "one process at a time publishes",
        "bytemeter/plans/outbox.py",
        'connection.execute(SQL["lock_publishing"])',
        "pass",
        f"{OUTBOX}::test_two_processes_publish_in_the_order_in_which_events_were_written",
    ),
    Break(
        "events are published in the order in which they were written",
        "bytemeter/plans/outbox.sql",
        "order by sequence\nlimit",
        "order by event_id\nlimit",
        f"{OUTBOX}::test_two_processes_publish_in_the_order_in_which_events_were_written",
    ),
    Break(
        "an amendment's id is made of what it says",
        "bytemeter/plans/events.py",
        "said = (self.total_bytes, latest_at, self.latest_record, self.zone, self.limit, self.repetition)",
        "said = (self.ordinal,)",
        f"{OUTBOX}::test_the_id_of_an_amendment_or_correction_is_made_of_all_that_it_says",
        servers=False,
    ),
    Break(
        "thresholds are crossed in the order of instants, whatever number the records have",
        "speed_layer/plans/crossings.py",
        "np.array(periods, np.int64)",
        "np.array(together.added.reached, np.int64)",
        "tests/speed_layer/plans/test_counting.py"
        "::test_thresholds_are_crossed_in_the_order_of_instants_by_records_of_two_numbers_of_an_agreement",
    ),
    Break(
        "a total that was published before is published again",
        "bytemeter/plans/judging.py",
        "        if event.event_id == told[-1]:\n            return None",
        "        return None",
        "tests/bytemeter/plans/test_judging.py"
        "::test_a_total_that_comes_back_to_what_was_told_is_told_again_with_another_id",
    ),
    Break(
        "a closed period that is corrected is amended",
        "batch_layer/monthly/correcting.py",
        "[*self._thresholds(corrected), *amend(self.connection, told)]",
        "[*self._thresholds(corrected)]",
        LIFE,
    ),
    Break(
        "a closed period that gets a late record is amended",
        "speed_layer/plans/counting.py",
        "[*together.added.closed, *one_by_one.added.closed]",
        "[*together.added.closed]",
        LIFE,
    ),
    Break(
        "a re-created topic is refused",
        "bytemeter/history/feed_table.py",
        "if known is not None and known != topic_id:",
        "if False:",
        f"{RESTORES}::test_a_topic_with_another_id_is_refused_in_one_line",
    ),
    Break(
        "a table that was restored is refused",
        "bytemeter/history/restores.py",
        "if until in commits.lost:",
        "if False:",
        f"{RESTORES}::test_an_older_version_that_was_brought_back_is_refused_until_the_newer_one_is_back",
    ),
    Break(
        "a table that was restored is known by its number of records where the log does not tell",
        "bytemeter/history/restores.py",
        "if commits.gap and noted is not None:",
        "if False:",
        f"{RESTORES}::test_an_older_version_that_was_brought_back_is_refused_also_if_the_log_does_not_tell",
    ),
    Break(
        "contents differ also where a field is missing",
        "speed_layer/executor/accounts.py",
        ', null_handling="replace", null_replacement="")',
        ")",
        f"{TOTALS_PARTS}::test_contents_differ_also_where_a_field_of_the_content_is_missing",
        servers=False,
    ),
    Break(
        "a dry run locks and writes nothing",
        "batch_layer/monthly/store.py",
        "kind = Rehearsal if dry_run else Correction",
        "kind = Correction",
        f"{MONTHLY}::test_a_dry_run_waits_for_nobody_and_nobody_waits_for_it",
    ),
    Break(
        "a piece of the monthly run is corrected once, and by itself",
        "batch_layer/monthly/correcting.sql",
        "where d.piece = :piece and u.usage_id = v.usage_id;",
        "where u.usage_id = v.usage_id;",
        f"{MONTHLY}::test_a_run_that_dies_leaves_whole_pieces_and_the_next_one_does_the_rest",
    ),
    Break(
        "what was counted since the snapshot of a monthly run stays",
        "batch_layer/monthly/correcting.sql",
        "total_recorded_bytes = u.total_recorded_bytes + d.after - d.before",
        "total_recorded_bytes = d.after",
        f"{MONTHLY}::test_records_that_were_counted_since_the_snapshot_stay",
    ),
    Break(
        "what a clock refused keeps its event time, by which it can be counted later",
        "speed_layer/executor/accounts.py",
        'pc.if_else(refused_by_clock, invalid.column("event_us"), _NO_TIME)',
        "pc.if_else(refused_by_clock, _NO_TIME, _NO_TIME)",
        f"{TOTALS_PARTS}::test_only_what_the_clock_refused_keeps_its_event_time",
        servers=False,
    ),
    Break(
        "a record that is counted while its hour is recomputed keeps the hour dirty",
        "batch_layer/hourly/statements.sql",
        "recomputed_version = excluded.recomputed_version",
        "recomputed_version = hours.version",
        "tests/batch_layer/hourly/test_store.py::test_an_hour_stays_dirty_if_records_were_counted_since_the_snapshot",
    ),
    Break(
        "the ledger refuses a micro-batch that does not start where it stands",
        "speed_layer/engine/live_store.py",
        "            if moved:",
        "            if False:",
        f"{LIVE_STORE}::test_a_micro_batch_that_does_not_start_at_the_ledger_is_refused",
    ),
    Break(
        "a process that was overtaken counts nothing more",
        "speed_layer/engine/live_store.py",
        "            self.lease.check(self.connection)\n",
        "",
        f"{LIVE_STORE}::test_a_transaction_whose_lease_is_another_ones_counts_nothing_although_its_session_lives",
    ),
    Break(
        "a commit to the history follows the one that its writer knows",
        "bytemeter/history/delta.py",
        "if found != transactions.after:",
        "if False:",
        "tests/bytemeter/history/test_table.py::test_another_process_that_wrote_meanwhile_stops_this_one",
    ),
    Break(
        "the horizon never moves back",
        "speed_layer/dedup/horizon.py",
        "if stored is not None and hour <= stored:",
        "if False:",
        "tests/speed_layer/dedup/test_horizon.py::test_it_never_moves_back",
    ),
    Break(
        "a partition is idle only once it was at its end for the set time",
        "speed_layer/engine/idle.py",
        "return since is not None and self.clock() - since >= self.after_s",
        "return since is not None",
        "tests/speed_layer/engine/test_idle.py::test_a_partition_is_idle_after_the_set_time_at_its_end",
        servers=False,
    ),
    Break(
        "of equal ids in a micro-batch the lowest partition and offset stays",
        "speed_layer/dedup/identified.py",
        'candidates["offset"], candidates["partition"], candidates["hour"]',
        'candidates["partition"], candidates["offset"], candidates["hour"]',
        "tests/speed_layer/dedup/test_ids.py"
        "::test_of_equal_ids_in_one_micro_batch_the_lowest_partition_and_offset_is_counted",
    ),
    Break(
        "a record behind the horizon is no duplicate, whatever its id",
        "speed_layer/dedup/ids.py",
        " & ~behind[records.duplicate_rows]",
        "",
        "tests/speed_layer/dedup/test_ids.py::test_all_duplicates_and_no_other_records_are_found",
    ),
)
