"""What a recompute does with the history on Spark's executors. It imports no database driver."""
