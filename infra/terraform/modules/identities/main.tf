# One service account for each kind of machine or service. None has a role of the project that reaches data: what each
# may read is granted on the bucket and on the secret itself, by the modules storage and secrets.

locals {
  accounts = merge(
    {
      spark     = "Runs the jobs: reads Kafka, writes the history and PostgreSQL."
      scheduler = "Starts the recomputes; reads no data."
      superset  = "Superset's container; reads its own secrets, and PostgreSQL by a login that may only read."
    },
    var.kafka_on_vm ? { kafka = "Kafka's machine; writes logs and metrics." } : {},
    # Its key is the password of SASL/PLAIN, which is why it is not the account of the machines.
    var.kafka_on_vm ? {} : { kafka-client = "The jobs' login at the managed Kafka." },
  )
  # Spark's machines take their tasks from Dataproc. The predefined role for it (dataproc.worker) also reads and writes
  # every bucket of the project, so this one lists what is left without storage.
  dataproc_agent = [
    "dataproc.agents.create", "dataproc.agents.delete", "dataproc.agents.get", "dataproc.agents.list",
    "dataproc.agents.update", "dataproc.tasks.lease", "dataproc.tasks.listInvalidatedLeases",
    "dataproc.tasks.reportStatus",
  ]
  # So does the driver of a serverless batch, which also shows its plans and its progress in the console.
  batch_agent = [
    "dataproc.batches.computeTuningConfig", "dataproc.batches.sparkApplicationWrite", "dataprocrm.nodePools.create",
    "dataprocrm.nodePools.delete", "dataprocrm.nodePools.deleteNodes", "dataprocrm.nodePools.get",
    "dataprocrm.nodePools.list", "dataprocrm.nodePools.resize", "dataprocrm.nodes.get", "dataprocrm.nodes.heartbeat",
    "dataprocrm.nodes.list", "dataprocrm.nodes.mintOAuthToken", "dataprocrm.operations.get",
  ]
  cluster_starter = ["dataproc.clusters.get", "dataproc.clusters.use", "dataproc.jobs.create", "dataproc.jobs.get"]
  batch_starter   = ["dataproc.batches.create", "dataproc.batches.get", "dataproc.operations.get"]
  log_writers     = setsubtract(keys(local.accounts), ["kafka-client"])
}

resource "google_service_account" "this" {
  for_each     = local.accounts
  project      = var.project_id
  account_id   = "${var.name}-${each.key}"
  display_name = "${var.name} ${each.key}"
  description  = each.value
}

resource "google_project_iam_custom_role" "dataproc_agent" {
  project     = var.project_id
  role_id     = "${replace(var.name, "-", "_")}_dataproc_agent"
  title       = "${var.name}: machine of a Dataproc cluster"
  description = "Takes tasks from Dataproc and reports on them; no access to storage."
  permissions = concat(local.dataproc_agent, var.serverless ? local.batch_agent : [])
}

resource "google_project_iam_custom_role" "job_starter" {
  project     = var.project_id
  role_id     = "${replace(var.name, "-", "_")}_job_starter"
  title       = "${var.name}: starts jobs"
  description = "Starts a job on a cluster that exists, or a serverless batch, and looks at it."
  permissions = var.serverless ? local.batch_starter : local.cluster_starter
}

resource "google_project_iam_member" "dataproc_agent" {
  project = var.project_id
  role    = google_project_iam_custom_role.dataproc_agent.id
  member  = google_service_account.this["spark"].member
}

resource "google_project_iam_member" "job_starter" {
  project = var.project_id
  role    = google_project_iam_custom_role.job_starter.id
  member  = google_service_account.this["scheduler"].member
}

# Whoever starts a batch says as whom it runs.
resource "google_service_account_iam_member" "batch_starter" {
  count              = var.serverless ? 1 : 0
  service_account_id = google_service_account.this["spark"].name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.this["scheduler"].member
}

resource "google_project_iam_member" "workflow_starter" {
  project = var.project_id
  role    = "roles/workflows.invoker"
  member  = google_service_account.this["scheduler"].member
}

resource "google_project_iam_member" "log_writer" {
  for_each = local.log_writers
  project  = var.project_id
  role     = "roles/logging.logWriter"
  member   = google_service_account.this[each.value].member
}

resource "google_project_iam_member" "metric_writer" {
  for_each = setsubtract(local.log_writers, ["scheduler"])
  project  = var.project_id
  role     = "roles/monitoring.metricWriter"
  member   = google_service_account.this[each.value].member
}

resource "google_project_iam_member" "kafka_client" {
  count   = var.kafka_on_vm ? 0 : 1
  project = var.project_id
  role    = "roles/managedkafka.client"
  member  = google_service_account.this["kafka-client"].member
}
