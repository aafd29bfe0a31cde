output "settings" {
  description = "The settings of Bytemeter (docs/settings.md) as the cluster's machines see them; secrets are files there."
  value       = module.dataproc.settings
}

output "secrets" {
  description = "Names of the secrets by what they hold; BYTEMETER_DATABASE_URL is the content of those that begin with database-url."
  value       = module.secrets.names
}

output "cluster" {
  description = "What gcloud dataproc jobs submit and gcloud compute ssh need."
  value = {
    project = var.project_id
    region  = var.region
    zone    = var.zone
    name    = module.dataproc.cluster
    master  = module.dataproc.master
    code    = "gs://${module.storage.code_bucket}"
  }
}

output "kafka_login" {
  description = "The service account that logs in at the managed Kafka; null with a machine."
  value       = module.identities.kafka_client
}
