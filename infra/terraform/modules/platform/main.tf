# All of it, for both environments: they differ in the values of variables only.

locals {
  kafka_on_vm = var.kafka.on_vm
  services = concat(
    [
      "compute.googleapis.com", "dataproc.googleapis.com", "iam.googleapis.com", "iap.googleapis.com",
      "logging.googleapis.com", "monitoring.googleapis.com", "secretmanager.googleapis.com",
      "servicenetworking.googleapis.com", "sqladmin.googleapis.com", "storage.googleapis.com",
      "cloudscheduler.googleapis.com", "workflows.googleapis.com", "workflowexecutions.googleapis.com",
      "billingbudgets.googleapis.com", "artifactregistry.googleapis.com", "run.googleapis.com",
    ],
    local.kafka_on_vm ? [] : ["managedkafka.googleapis.com"],
  )
  # bytemeter.feeds, and the topic of threshold events; tests/infra compares.
  topics = [
    "devices", "data-records", "agreements", "game-events", "billable-events", "threshold-events",
    "telemetry.ingest", "telemetry.raw", "telemetry.unique", "telemetry.unique.primary", "telemetry.unique.secondary",
    "telemetry.denorm", "telemetry.failed", "telemetry.duplicate", "telemetry.audit", "telemetry.log", "telemetry.error",
    "telemetry.assess",
  ]
  serverless = var.images.job != null
  kafka      = one(concat(module.kafka_vm[*].bootstrap, module.kafka_managed[*].bootstrap))
}

module "project" {
  source     = "../project"
  project_id = var.project_id
  services   = local.services
}

module "identities" {
  source      = "../identities"
  name        = var.name
  project_id  = module.project.project_id
  kafka_on_vm = local.kafka_on_vm
  serverless  = local.serverless
}

module "network" {
  source                = "../network"
  name                  = var.name
  project_id            = module.project.project_id
  region                = var.region
  cidr                  = var.cidr
  spark_service_account = module.identities.spark
  kafka_service_account = module.identities.kafka
  kafka_on_vm           = local.kafka_on_vm
  serverless            = local.serverless
  flow_logs             = var.flow_logs
}

module "storage" {
  source                = "../storage"
  name                  = var.name
  project_id            = module.project.project_id
  region                = var.region
  dist                  = var.dist
  soft_delete_days      = var.soft_delete_days
  nearline_after_days   = 93
  spark_service_account = module.identities.spark
}

module "database" {
  source                     = "../database"
  name                       = var.name
  project_id                 = module.project.project_id
  region                     = var.region
  network                    = module.network.network
  tier                       = var.database.tier
  highly_available           = var.database.highly_available
  disk_gb                    = var.database.disk_gb
  disk_limit_gb              = var.database.disk_limit_gb
  retained_backups           = var.database.retained_backups
  deletion_protection        = var.deletion_protection
  database_passwords         = var.database_passwords
  database_passwords_version = var.database_passwords_version
}

module "secrets" {
  source                     = "../secrets"
  name                       = var.name
  project_id                 = module.project.project_id
  region                     = var.region
  kafka_on_vm                = local.kafka_on_vm
  spark_service_account      = module.identities.spark
  database_host              = module.database.host
  database_name              = module.database.database
  superset_service_account   = module.identities.superset
  database_passwords         = var.database_passwords
  database_passwords_version = var.database_passwords_version
}

module "kafka_vm" {
  source          = "../kafka_vm"
  count           = local.kafka_on_vm ? 1 : 0
  name            = var.name
  project_id      = module.project.project_id
  region          = var.region
  zone            = var.zone
  machine_type    = var.kafka.machine_type
  disk_gb         = var.kafka.disk_gb
  subnetwork      = module.network.subnetwork
  service_account = module.identities.kafka
  archive_url     = var.kafka.archive_url
  archive_sha512  = var.kafka.archive_sha512
  partitions      = var.partitions
  retention_days  = var.retention_days
}

module "kafka_managed" {
  source          = "../kafka_managed"
  count           = local.kafka_on_vm ? 0 : 1
  name            = var.name
  project_id      = module.project.project_id
  region          = var.region
  subnetwork_path = module.network.subnetwork
  vcpus           = var.kafka.vcpus
  topics          = local.topics
  partitions      = var.partitions
  retention_days  = var.retention_days
}

module "dataproc" {
  source          = "../dataproc"
  name            = var.name
  project_id      = module.project.project_id
  region          = var.region
  zone            = var.zone
  subnetwork      = module.network.subnetwork
  service_account = module.identities.spark
  code_bucket     = module.storage.code_bucket
  staging_bucket  = module.storage.staging_bucket
  history         = module.storage.history
  kafka           = local.kafka
  kafka_login     = module.identities.kafka_client
  secrets = merge(
    { database-url = module.secrets.for_spark["database-url-jobs"] },
    local.kafka_on_vm ? {} : { kafka-password = module.secrets.names["kafka-password"] },
  )
  postgresql_certificate = module.database.certificate
  partitions             = var.partitions
  master_machine_type    = var.spark.master_machine_type
  worker_machine_type    = var.spark.worker_machine_type
  workers                = var.spark.workers
  max_secondary_workers  = var.spark.max_secondary_workers
  boot_disk_gb           = var.spark.boot_disk_gb
  driver_memory          = var.spark.driver_memory
  jobs_enabled           = var.jobs_enabled
}

module "registry" {
  source                = "../registry"
  name                  = var.name
  project_id            = module.project.project_id
  region                = var.region
  spark_service_account = module.identities.spark
}

module "superset" {
  source                 = "../superset"
  count                  = var.images.superset == null ? 0 : 1
  name                   = var.name
  project_id             = module.project.project_id
  region                 = var.region
  network                = module.network.network
  subnetwork             = module.network.service_subnetwork
  service_account        = module.identities.superset
  image                  = "${module.registry.prefix}/superset:${coalesce(var.images.superset, "none")}"
  secrets                = module.secrets.for_superset
  postgresql_certificate = module.database.certificate
  users                  = var.dashboards.users
  min_instances          = var.dashboards.min_instances
}

module "schedules" {
  source          = "../schedules"
  name            = var.name
  project_id      = module.project.project_id
  region          = var.region
  service_account = module.identities.scheduler
  cluster         = module.dataproc.cluster
  code_bucket     = module.storage.code_bucket
  history         = module.storage.history
  kafka           = local.kafka
  batch = local.serverless ? {
    image           = "${module.registry.prefix}/job:${coalesce(var.images.job, "none")}"
    service_account = module.identities.spark
    subnetwork      = module.network.batch_subnetwork
    staging_bucket  = module.storage.staging_bucket
    file            = module.dataproc.batch_file
    properties      = module.dataproc.batch_properties
  } : null
  jobs_enabled = var.jobs_enabled
}

module "monitoring" {
  source            = "../monitoring"
  name              = var.name
  project_id        = module.project.project_id
  project_number    = module.storage.project_number
  cluster           = module.dataproc.cluster
  workflow          = module.schedules.workflow
  database_instance = module.database.instance
  jobs_enabled      = var.jobs_enabled
  mails             = var.mails
  billing_account   = var.billing_account
  monthly_budget    = var.monthly_budget
}
