"""Seeded traffic of phones, and the producer that sends it to Kafka."""
