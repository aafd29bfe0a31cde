"""The Kafka topics of telemetry, without the topic prefix; a message flows from one to the next."""

from __future__ import annotations

INGEST = "telemetry.ingest"
RAW = "telemetry.raw"
UNIQUE = "telemetry.unique"
PRIMARY = "telemetry.unique.primary"
SECONDARY = "telemetry.unique.secondary"
DENORM = "telemetry.denorm"
FAILED = "telemetry.failed"
DUPLICATE = "telemetry.duplicate"
AUDIT = "telemetry.audit"
LOG = "telemetry.log"
ERROR = "telemetry.error"
ASSESS = "telemetry.assess"

# What live queries send to, and no feed reads.
SENT_TO = (PRIMARY, SECONDARY, FAILED, DUPLICATE, AUDIT, LOG, ERROR, ASSESS)
# The most bytes of a message, by topic. What failed or is repeated is sent with what is added to it.
_MESSAGE_BYTES, _WITH_FLAGS_BYTES = 8 * 2**20, 9 * 2**20
MESSAGE_BYTES = {
    **dict.fromkeys((INGEST, RAW, UNIQUE, DENORM, *SENT_TO), _MESSAGE_BYTES),
    **dict.fromkeys((FAILED, DUPLICATE), _WITH_FLAGS_BYTES),
}
