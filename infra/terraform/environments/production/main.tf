# In earnest: Kafka in three zones, PostgreSQL with a standby, workers for the streaming queries and more of them for
# recomputes. What it costs and carries: docs/cloud.md.

module "platform" {
  source     = "../../modules/platform"
  name       = "bytemeter"
  project_id = var.project_id
  region     = var.region
  zone       = var.zone
  cidr       = "10.30.0.0/20"
  flow_logs  = true
  dist       = "${path.root}/../../../../dist"

  kafka = {
    on_vm = false
    vcpus = 3
  }
  partitions     = 12
  retention_days = 7

  database = {
    tier             = "db-custom-4-16384"
    highly_available = true
    disk_gb          = 100
    disk_limit_gb    = 1000
    retained_backups = 30
  }

  spark = {
    master_machine_type   = "n2-standard-8"
    worker_machine_type   = "n2-standard-4"
    workers               = 2
    max_secondary_workers = 6
    boot_disk_gb          = 200
    driver_memory         = "8g"
  }

  images = var.images
  dashboards = {
    users         = var.dashboard_users
    min_instances = 1
  }

  soft_delete_days           = 30
  deletion_protection        = true
  jobs_enabled               = var.jobs_enabled
  mails                      = var.mails
  billing_account            = var.billing_account
  monthly_budget             = var.monthly_budget
  database_passwords         = var.database_passwords
  database_passwords_version = var.database_passwords_version
}
