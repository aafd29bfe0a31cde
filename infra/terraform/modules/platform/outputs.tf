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

output "submit" {
  description = "The settings by which bytemeter submit, elsewhere, runs a job here (docs/dataproc.md), serverless or on the cluster."
  value = merge(
    { for name, value in module.dataproc.settings : name => value if !endswith(name, "_FILE") },
    {
      BYTEMETER_SUBMIT_CODE            = "gs://${module.storage.code_bucket}/submitted"
      BYTEMETER_SUBMIT_PROJECT         = var.project_id
      BYTEMETER_SUBMIT_REGION          = var.region
      BYTEMETER_SUBMIT_SERVICE_ACCOUNT = module.identities.spark
      BYTEMETER_SUBMIT_SUBNETWORK      = module.network.batch_subnetwork
      BYTEMETER_SUBMIT_CONTAINER_IMAGE = "${module.registry.prefix}/job:${coalesce(var.images.job, "1")}"
      BYTEMETER_DATABASE_URL_SECRET    = "projects/${var.project_id}/secrets/${module.secrets.for_spark["database-url-jobs"]}"
    },
    local.kafka_on_vm ? {} : {
      BYTEMETER_KAFKA_SASL_PASSWORD_SECRET = "projects/${var.project_id}/secrets/${module.secrets.names["kafka-password"]}"
    },
  )
}

output "registry" {
  description = "What the names of images begin with."
  value       = module.registry.prefix
}

output "superset" {
  description = "Name of Superset's service, for gcloud run services proxy; null without one."
  value       = one(module.superset[*].name)
}
