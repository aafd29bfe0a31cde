"""Seeded traffic of phones and subscribers, and the producer that sends it to Kafka."""
