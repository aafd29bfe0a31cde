"""How all parts do: read from PostgreSQL's views and from Kafka, judged by the rules of one module. No Spark."""
