"""Breaks of the rules of messages that are sent on, each once."""

from __future__ import annotations

from tests.breaks.rule import Break

EXECUTOR = "tests/speed_layer/executor/test_outgoing.py"
ROUTER = "tests/speed_layer/routing/test_router.py"
TELEMETRY = "tests/integration/test_telemetry.py"
KILLED = f"{TELEMETRY}::test_whatever_ends_a_process_each_message_is_sent_once_by_the_decision_that_was_made"

BREAKS = (
    Break(
        "an event is a duplicate by its `mid`",
        "bytemeter/feeds/telemetry.py",
        '    event_id="mid",\n    # Any',
        '    event_id="device",\n    # Any',
        KILLED,
    ),
    Break(
        "what was decided of a message stands when it is read again",
        "speed_layer/executor/outgoing.py",
        "decided.apply(parse(stage.feed, messages))",
        "parse(stage.feed, messages)",
        f"{EXECUTOR}::test_what_was_decided_stands_when_messages_are_read_again",
        servers=False,
    ),
    Break(
        "a duplicate stays a duplicate when it is read again",
        "speed_layer/routing/catching_up.py",
        "query.to_send(connection, piece.result, duplicates)",
        "query.to_send(connection, piece.result, duplicates[:0])",
        KILLED,
    ),
    Break(
        "what a process has counted and not sent is sent by the next one",
        "speed_layer/routing/catching_up.py",
        "if start == counted:",
        "if True:",
        KILLED,
    ),
    Break(
        "messages and the offsets of their source are committed together",
        "bytemeter/transactions.py",
        "self._call(lambda timeout_s: self._producer.send_offsets_to_transaction(list(offsets), group, timeout_s))",
        "pass",
        KILLED,
    ),
    Break(
        "Kafka says how far messages were sent",
        "speed_layer/routing/router.py",
        "max(in_kafka.get(partition, 0), self._noted.get(partition, 0))",
        "self._noted.get(partition, 0)",
        KILLED,
    ),
    Break(
        "where Kafka has forgotten how far messages were sent, PostgreSQL says it",
        "speed_layer/routing/router.py",
        "max(in_kafka.get(partition, 0), self._noted.get(partition, 0))",
        "in_kafka.get(partition, 0)",
        f"{TELEMETRY}::test_where_kafka_has_forgotten_the_group_of_the_router_nothing_is_sent_again",
    ),
    Break(
        "nothing is sent of a transaction that was rolled back",
        "speed_layer/routing/router.py",
        'is not to be sent."""\n        self._decided = None',
        'is not to be sent."""',
        f"{ROUTER}::test_what_was_rolled_back_is_not_sent_after_the_next_commit",
    ),
    Break(
        "a message is sent only after the commit of the transaction that counted it",
        "speed_layer/routing/query.py",
        "        self.router.note(connection)\n",
        "        self.router.note(connection)\n        self.router.send()\n",
        f"{TELEMETRY}::test_nothing_is_sent_of_a_transaction_that_postgresql_does_not_commit",
    ),
    Break(
        "what waits to be sent is not noted as sent",
        "speed_layer/routing/router.py",
        "if self._decided is None:",
        "if True:",
        f"{ROUTER}::test_what_kafka_has_not_taken_is_never_noted_as_sent",
    ),
    Break(
        "nothing is noted as sent after Kafka has refused messages",
        "speed_layer/routing/router.py",
        "        if self._failed:\n            return\n",
        "",
        f"{ROUTER}::test_what_kafka_has_not_taken_is_never_noted_as_sent",
    ),
    Break(
        "all messages that one message becomes are sent by one transaction",
        "speed_layer/routing/router.py",
        "    number = np.repeat(number[firsts], np.diff(np.append(firsts, len(order))))\n",
        "",
        f"{ROUTER}::test_many_bytes_are_stretches_in_the_order_of_positions_and_a_message_is_in_one",
        servers=False,
    ),
    Break(
        "a process that was overtaken sends nothing more",
        "bytemeter/transactions.py",
        '"transactional.id": self._name,',
        '"transactional.id": f"{self._name}-{id(self)}",',
        "tests/integration/test_takeover.py"
        "::test_a_process_that_goes_on_after_a_takeover_sends_nothing_more_and_says_so_in_one_line",
    ),
)
