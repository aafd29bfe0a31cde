"""Agreements and data records as rows to be staged: runs of messages, each found record at its place in arrays.

PostgreSQL looks at each record by itself: ids, owners and crossings are decided there. So nothing is added up here; the
arrays only spare the cost of a row for each record on its way.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, Feed
from bytemeter.instants import instant
from bytemeter.parsing import REFUSED_BY_CLOCK, Transformation

_RUN = 5_000


def facts(feed: Feed) -> Transformation:
    """Say of each message what it is.

    Returns:
        A transformation of parsed messages (see ``bytemeter.parsing.parse``) into rows of feed: string,
        partition: int, run: long, epoch_s: long (null if invalid), and three structs of which one is not null: record,
        agreement and invalid.
    """
    valid = F.col("reason").isNull()
    structs = {
        "record": F.when(valid, _record()) if feed is DATA_RECORDS else F.lit(None),
        "agreement": F.when(valid, _agreement()) if feed is AGREEMENTS else F.lit(None),
        "invalid": F.when(~valid, _invalid()),
    }

    def transformation(parsed: DataFrame) -> DataFrame:
        return parsed.select(
            F.lit(feed.name).alias("feed"),
            "partition",
            F.floor(F.col("offset") / _RUN).alias("run"),
            F.when(valid, F.col("epoch_s")).alias("epoch_s"),
            *(column.cast(_TYPES[name]).alias(name) for name, column in structs.items()),
        )

    return transformation


def gather(found: DataFrame) -> DataFrame:
    """Gather the messages of a run in one row of the table ``live_data_plans.staged``, less its attempt.

    Returns:
        Rows of feed: string, partition: int, records: long (received), latest_s: long (latest event time of a valid
        record, epoch seconds), and arrays of equal length:

        - of data records: offsets, id_hashes (hex), content_hashes, recorded_us, recorded_bytes, msisdns, internal_ids
        - of agreements: agreements (JSON: id, msisdn, signed_us, start_us, zone, limit, thresholds, anchor_day),
          agreement_offsets
        - of invalid messages: invalid_offsets, invalid_reasons, invalid_payloads (hex), and invalid_times_s, the event
          time only of what is well-formed and was refused by the clock
    """
    runs = found.groupBy("feed", "partition", "run").agg(
        F.count(F.lit(1)).alias("records"),
        F.max("epoch_s").alias("latest_s"),
        *(F.collect_list(name).alias(name) for name in _TYPES),
    )
    arrays = [F.col(f"{struct}.{field}").alias(column) for column, (struct, field) in _COLUMNS.items()]
    return runs.select("feed", "partition", "records", "latest_s", *arrays)


_TYPES = {
    "record": "struct<offset:bigint,id_hash:string,content_hash:bigint,us:bigint,bytes:bigint,msisdn:string,"
    "internal_id:string>",
    "agreement": "struct<document:string,offset:bigint>",
    "invalid": "struct<offset:bigint,reason:string,payload:string,time_s:bigint>",
}
_COLUMNS = {
    "offsets": ("record", "offset"),
    "id_hashes": ("record", "id_hash"),
    "content_hashes": ("record", "content_hash"),
    "recorded_us": ("record", "us"),
    "recorded_bytes": ("record", "bytes"),
    "msisdns": ("record", "msisdn"),
    "internal_ids": ("record", "internal_id"),
    "agreements": ("agreement", "document"),
    "agreement_offsets": ("agreement", "offset"),
    "invalid_offsets": ("invalid", "offset"),
    "invalid_reasons": ("invalid", "reason"),
    "invalid_payloads": ("invalid", "payload"),
    "invalid_times_s": ("invalid", "time_s"),
}


def _us(column: str) -> Column:
    return F.expr(f"unix_micros({instant(column)})")


def _record() -> Column:
    return F.struct(
        F.col("offset"),
        F.md5("id").alias("id_hash"),
        F.xxhash64(*DATA_RECORDS.content).alias("content_hash"),
        _us("recordedAt").alias("us"),
        F.col("recordedBytes").alias("bytes"),
        F.col("msisdn"),
        F.coalesce("internalId", "id").alias("internal_id"),
    )


def _agreement() -> Column:
    document = F.struct(
        F.col("id"),
        F.col("msisdn"),
        _us("signedAt").alias("signed_us"),
        _us("serviceStartAt").alias("start_us"),
        F.col("billingPeriodTimeZone").alias("zone"),
        F.col("maxBytesInBillingPeriod").alias("limit"),
        F.col("thresholds"),
        F.col("anchorDay").alias("anchor_day"),
    )
    return F.struct(F.to_json(document).alias("document"), F.col("offset"))


def _invalid() -> Column:
    return F.struct(
        F.col("offset"),
        F.col("reason"),
        F.hex("value").alias("payload"),
        F.when(F.col("reason") == REFUSED_BY_CLOCK, F.col("epoch_s")).alias("time_s"),
    )
