"""The embedded servers: a real Kafka, PostgreSQL and Superset as local processes below one home folder."""
