"""Breaks of the rules of single processes: signals, the collector and its journal, answers of the usage API."""

from __future__ import annotations

from tests.breaks.rule import Break

ENDING = "tests/bytemeter/test_ending.py"
JOURNAL = "tests/ingest/collector/test_journal.py"
BATCHES = "tests/ingest/collector/test_telemetry.py"
LIMITS = "tests/ingest/collector/test_limits.py"
READING = "tests/serving/api/test_reading.py"

BREAKS = (
    Break(
        "a signal may come while the event that it sets is locked",
        "bytemeter/ending.py",
        "_thread.start_new_thread(self.stop.set, ())",
        "self.stop.set()",
        f"{ENDING}::test_a_signal_may_come_while_the_event_is_locked",
        servers=False,
    ),
    Break(
        "a main thread that waits is woken by a signal that another thread takes",
        "bytemeter/ending.py",
        "signal.pthread_kill(threading.main_thread().ident or 0, ending)",
        "pass",
        f"{ENDING}::test_a_main_thread_that_waits_is_woken_by_a_signal_that_another_thread_takes",
        servers=False,
    ),
    Break(
        "no further signal interrupts the clean-up",
        "bytemeter/ending.py",
        "        if self.name:\n            return\n",
        "",
        f"{ENDING}::test_the_first_signal_ends_the_work_and_no_further_one_the_clean_up",
        servers=False,
    ),
    Break(
        "what has ended a block has ended the blocks around it",
        "bytemeter/ending.py",
        "self._outer.name = self._outer.name or self.name",
        "pass",
        f"{ENDING}::test_what_ends_a_block_ends_the_blocks_around_it",
        servers=False,
    ),
    Break(
        "a signal whose exception is lost ends a job before its work",
        "bytemeter/ending.py",
        'return EndingSignals.entered.name if EndingSignals.entered else ""',
        'return ""',
        f"{ENDING}::test_a_signal_whose_exception_is_lost_ends_a_job_before_its_work",
        servers=False,
    ),
    Break(
        "a command that a server does not answer is ended, with the processes that it started",
        "bytemeter/ending.py",
        "                child.kill()",
        "                pass",
        f"{ENDING}::test_a_process_that_waits_inside_a_database_driver_is_ended_after_the_grace",
        servers=False,
    ),
    Break(
        "a command that nohup started outlives its terminal",
        "bytemeter/ending.py",
        "if not (ending == signal.SIGHUP and before == signal.SIG_IGN):",
        "if True:",
        f"{ENDING}::test_a_command_started_by_nohup_outlives_its_terminal",
        servers=False,
    ),
    Break(
        "an answer of several statements is one transaction",
        "serving/api/reading.py",
        "        if self._used:\n            self.several()\n",
        "",
        f"{READING}::test_a_question_of_several_statements_sees_one_moment",
    ),
    Break(
        "all statements of a transaction see one moment",
        "serving/api/snapshots.py",
        'isolation_level="REPEATABLE READ"',
        'isolation_level="READ COMMITTED"',
        f"{READING}::test_a_question_of_several_statements_sees_one_moment",
    ),
    Break(
        "a new connection plans its statements anew",
        "serving/api/reading.py",
        'self._connection.info.setdefault("prepared", set())',
        'vars(Reading).get("known") or (setattr(Reading, "known", {""}) or vars(Reading)["known"])',
        f"{READING}::test_a_statement_is_planned_once_by_each_connection",
    ),
    Break(
        "the collector takes no batch that the stream would refuse",
        "ingest/collector/telemetry.py",
        "if events > MOST_EVENTS:",
        "if False:",
        f"{BATCHES}::test_what_would_be_a_broken_batch_to_the_stream_is_refused",
        servers=False,
    ),
    Break(
        "a batch without an id gets one by which the stream knows a retry",
        "ingest/collector/telemetry.py",
        'batch["params"] = _with_msgid(batch.get("params", _NOTHING), mid)',
        "pass",
        f"{BATCHES}::test_a_batch_gets_what_it_lacks_and_keeps_what_it_has",
        servers=False,
    ),
    Break(
        "the journal takes no more than its bound",
        "ingest/collector/journal.py",
        "if not self.has_room(len(written)):",
        "if False:",
        f"{JOURNAL}::test_at_its_bound_it_takes_no_more_and_none_of_a_batch_that_does_not_fit",
        servers=False,
    ),
    Break(
        "a record of the journal that was cut off is cut away",
        "ingest/collector/journal.py",
        "            _cut_torn(self._closed[-1])",
        "            pass",
        f"{JOURNAL}::test_a_torn_last_record_is_cut_off_wherever_it_was_torn",
        servers=False,
    ),
    Break(
        "a batch that could not be synced leaves nothing in the journal",
        "ingest/collector/journal.py",
        "            self._give_up(file, before)\n",
        "",
        f"{JOURNAL}::test_a_failed_sync_keeps_what_was_safe_and_nothing_of_the_batch",
        servers=False,
    ),
    Break(
        "a journal belongs to one process",
        "ingest/collector/journal.py",
        "            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "            pass",
        f"{JOURNAL}::test_a_journal_belongs_to_one_process",
        servers=False,
    ),
    Break(
        "a collector has no more events in flight than it may",
        "ingest/collector/limits.py",
        "if self.events + events > self.most:",
        "if False:",
        f"{LIMITS}::test_events_of_all_requests_are_within_the_limit",
        servers=False,
    ),
)
