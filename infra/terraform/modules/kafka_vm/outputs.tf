output "bootstrap" {
  description = "BYTEMETER_KAFKA."
  value       = "${google_compute_instance.kafka.name}.${var.zone}.c.${var.project_id}.internal:9092"
}
