"""Spark's daemon of Python workers with all that tasks import: each worker is a fork of it, and starts at once."""

from __future__ import annotations

import pandas  # noqa: F401, pyspark imports it with the first columns
from pyspark.daemon import manager

import bytemeter.history.reading
import bytemeter.history.writing  # noqa: F401
from bytemeter.executors import keep_worker_warm

if __name__ == "__main__":
    keep_worker_warm()
    manager()
