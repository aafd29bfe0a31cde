output "settings" {
  description = "The settings of Bytemeter (docs/settings.md) as the cluster's machines see them; secrets are files there."
  value       = module.platform.settings
}

output "secrets" {
  description = "Names of the secrets by what they hold; BYTEMETER_DATABASE_URL is the content of those that begin with database-url."
  value       = module.platform.secrets
}

output "cluster" {
  description = "What gcloud dataproc jobs submit and gcloud compute ssh need."
  value       = module.platform.cluster
}

output "kafka_login" {
  description = "The service account that logs in at the managed Kafka; null with a machine."
  value       = module.platform.kafka_login
}

output "submit" {
  description = "The settings by which bytemeter submit, elsewhere, runs a job here (docs/dataproc.md), serverless or on the cluster."
  value       = module.platform.submit
}

output "registry" {
  description = "What the names of images begin with."
  value       = module.platform.registry
}

output "superset" {
  description = "Name of Superset's service, for gcloud run services proxy; null without one."
  value       = module.platform.superset
}
