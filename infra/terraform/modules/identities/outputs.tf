output "spark" {
  description = "E-mail of the account of Spark's machines, once it may take tasks."
  value       = google_service_account.this["spark"].email
  depends_on  = [google_project_iam_member.dataproc_agent]
}

output "scheduler" {
  description = "E-mail of the account that starts recomputes."
  value       = google_service_account.this["scheduler"].email
}

output "kafka" {
  description = "E-mail of the account of Kafka's machine; null with the managed service."
  value       = one([for key, account in google_service_account.this : account.email if key == "kafka"])
}

output "kafka_client" {
  description = "E-mail of the jobs' login at the managed Kafka; null with a machine."
  value       = one([for key, account in google_service_account.this : account.email if key == "kafka-client"])
}

output "superset" {
  description = "E-mail of the account of Superset's container."
  value       = google_service_account.this["superset"].email
}
