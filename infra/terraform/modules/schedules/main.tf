# Recomputes and maintenance: Cloud Scheduler starts a workflow, which starts the job on the cluster or, if var.batch says
# how, as a serverless batch. The workflow knows last month's name.

locals {
  # The main of each job, and its options; of the workflow's last --month the workflow knows the value.
  jobs = {
    maintain = {
      schedule = var.maintain
      argument = { main = "maintain.py", options = ["--history", var.history] }
    }
    hourly = {
      schedule = var.hourly
      argument = { main = "hourly_usage.py", options = ["--history", var.history, "--dirty", "--over"] }
    }
    dirty-months = {
      schedule = var.dirty_months
      argument = { main = "monthly_usage.py", options = ["--history", var.history, "--kafka", var.kafka, "--dirty"] }
    }
    monthly = {
      schedule = var.monthly
      argument = { main = "monthly_usage.py", options = ["--history", var.history, "--kafka", var.kafka, "--month"] }
    }
  }
}

resource "google_workflows_workflow" "recompute" {
  project             = var.project_id
  region              = var.region
  name                = "${var.name}-recompute"
  description         = "Starts a job on the cluster, or as a serverless batch, and waits for its end, so that a failure shows."
  service_account     = var.service_account
  call_log_level      = "LOG_ERRORS_ONLY"
  deletion_protection = false
  labels              = { app = var.name }
  source_contents = templatefile("${path.module}/recompute.yaml", {
    project = var.project_id
    region  = var.region
    code    = "gs://${var.code_bucket}"
    cluster = var.cluster
    # JSON is YAML, too.
    batch = jsonencode(var.batch)
  })
}

resource "google_cloud_scheduler_job" "recompute" {
  for_each         = local.jobs
  project          = var.project_id
  region           = var.region
  name             = "${var.name}-${each.key}"
  description      = "${each.value.argument.main} ${each.key}"
  schedule         = each.value.schedule
  time_zone        = "Etc/UTC"
  paused           = !var.jobs_enabled
  attempt_deadline = "180s"
  retry_config {
    retry_count          = 3
    min_backoff_duration = "30s"
  }
  http_target {
    http_method = "POST"
    uri         = "https://workflowexecutions.googleapis.com/v1/${google_workflows_workflow.recompute.id}/executions"
    headers     = { "Content-Type" = "application/json" }
    body        = base64encode(jsonencode({ argument = jsonencode(each.value.argument) }))
    oauth_token {
      service_account_email = var.service_account
      scope                 = "https://www.googleapis.com/auth/cloud-platform"
    }
  }
}
