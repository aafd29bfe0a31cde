# A trial: one machine for Kafka, one for Spark, the smallest PostgreSQL. What it costs and carries: docs/cloud.md.

module "platform" {
  source     = "../../modules/platform"
  name       = "bytemeter"
  project_id = var.project_id
  region     = var.region
  zone       = var.zone
  cidr       = "10.20.0.0/20"
  flow_logs  = false
  dist       = "${path.root}/../../../../dist"

  kafka = {
    on_vm          = true
    machine_type   = "e2-small"
    disk_gb        = 20
    archive_sha512 = var.kafka_archive_sha512
  }
  partitions     = 3
  retention_days = 3

  database = {
    tier             = "db-g1-small"
    highly_available = false
    disk_gb          = 10
    disk_limit_gb    = 50
    retained_backups = 7
  }

  spark = {
    master_machine_type   = "e2-standard-4"
    worker_machine_type   = "e2-standard-4"
    workers               = 0
    max_secondary_workers = 0
    boot_disk_gb          = 50
    driver_memory         = "2g"
  }

  images = var.images
  dashboards = {
    users         = var.dashboard_users
    min_instances = 0
  }

  soft_delete_days           = 7
  deletion_protection        = false
  jobs_enabled               = var.jobs_enabled
  mails                      = var.mails
  billing_account            = var.billing_account
  monthly_budget             = var.monthly_budget
  database_passwords         = var.database_passwords
  database_passwords_version = var.database_passwords_version
}
