"""What runs on Spark's executors: messages become the Arrow tables that the driver counts.

Nothing here may import a database driver, a Kafka client or the settings: an executor has none of them, and no
password.
"""
