output "bootstrap" {
  description = "BYTEMETER_KAFKA, once all topics are there."
  value       = "bootstrap.${google_managed_kafka_cluster.this.cluster_id}.${var.region}.managedkafka.${var.project_id}.cloud.goog:9092"
  depends_on  = [google_managed_kafka_topic.this]
}
