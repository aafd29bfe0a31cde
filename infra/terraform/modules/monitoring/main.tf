# Who is told when money or something else runs out.

locals {
  channels = [for channel in google_monitoring_notification_channel.mail : channel.id]
  # What is wrong, by the metric that shows it.
  alerts = {
    stream-is-down = {
      filter     = "metric.type=\"dataproc.googleapis.com/cluster/job/running_count\" AND resource.type=\"cloud_dataproc_cluster\" AND resource.labels.cluster_name=\"${var.cluster}\""
      aligner    = "ALIGN_MAX"
      comparison = "COMPARISON_LT"
      threshold  = 1
      duration   = "600s"
      missing    = "EVALUATION_MISSING_DATA_ACTIVE"
      help       = "No job runs on the cluster. Look at its jobs; terraform apply -replace='module.platform.module.dataproc.google_dataproc_job.stream[0]' starts the stream again, where it was."
    }
    job-failed = {
      filter     = "metric.type=\"dataproc.googleapis.com/cluster/job/failed_count\" AND resource.type=\"cloud_dataproc_cluster\" AND resource.labels.cluster_name=\"${var.cluster}\""
      aligner    = "ALIGN_DELTA"
      comparison = "COMPARISON_GT"
      threshold  = 0
      duration   = "0s"
      missing    = "EVALUATION_MISSING_DATA_INACTIVE"
      help       = "A job of the cluster failed; the last line of its output says why. A recompute can be started again."
    }
    scheduled-run-failed = {
      filter     = "metric.type=\"workflows.googleapis.com/finished_execution_count\" AND resource.type=\"workflows.googleapis.com/Workflow\" AND resource.labels.workflow_id=\"${var.workflow}\" AND metric.labels.status=\"FAILED\""
      aligner    = "ALIGN_DELTA"
      comparison = "COMPARISON_GT"
      threshold  = 0
      duration   = "0s"
      missing    = "EVALUATION_MISSING_DATA_INACTIVE"
      help       = "A scheduled run, on the cluster or serverless, did not start or failed; the execution of the workflow says why. It can be started again."
    }
    database-is-down = {
      filter     = "metric.type=\"cloudsql.googleapis.com/database/up\" AND resource.type=\"cloudsql_database\" AND resource.labels.database_id=\"${var.project_id}:${var.database_instance}\""
      aligner    = "ALIGN_MIN"
      comparison = "COMPARISON_LT"
      threshold  = 1
      duration   = "300s"
      missing    = "EVALUATION_MISSING_DATA_ACTIVE"
      help       = "PostgreSQL does not answer. The jobs wait for it and go on by themselves."
    }
    database-disk-is-full = {
      filter     = "metric.type=\"cloudsql.googleapis.com/database/disk/utilization\" AND resource.type=\"cloudsql_database\" AND resource.labels.database_id=\"${var.project_id}:${var.database_instance}\""
      aligner    = "ALIGN_MAX"
      comparison = "COMPARISON_GT"
      threshold  = 0.9
      duration   = "1800s"
      missing    = "EVALUATION_MISSING_DATA_INACTIVE"
      help       = "The disk grows by itself up to its limit: raise disk_limit_gb."
    }
    database-is-busy = {
      filter     = "metric.type=\"cloudsql.googleapis.com/database/cpu/utilization\" AND resource.type=\"cloudsql_database\" AND resource.labels.database_id=\"${var.project_id}:${var.database_instance}\""
      aligner    = "ALIGN_MEAN"
      comparison = "COMPARISON_GT"
      threshold  = 0.9
      duration   = "1800s"
      missing    = "EVALUATION_MISSING_DATA_INACTIVE"
      help       = "PostgreSQL has been at its limit for half an hour: choose a larger tier."
    }
  }
}

resource "google_monitoring_notification_channel" "mail" {
  for_each     = var.mails
  project      = var.project_id
  display_name = "${var.name}: ${each.value}"
  type         = "email"
  labels       = { email_address = each.value }
}

resource "google_monitoring_alert_policy" "this" {
  for_each              = local.alerts
  project               = var.project_id
  display_name          = "${var.name}: ${replace(each.key, "-", " ")}"
  combiner              = "OR"
  enabled               = var.jobs_enabled || !startswith(each.key, "stream")
  notification_channels = local.channels
  user_labels           = { app = var.name }
  conditions {
    display_name = replace(each.key, "-", " ")
    condition_threshold {
      filter                  = each.value.filter
      comparison              = each.value.comparison
      threshold_value         = each.value.threshold
      duration                = each.value.duration
      evaluation_missing_data = each.value.duration == "0s" ? null : each.value.missing
      aggregations {
        alignment_period   = "300s"
        per_series_aligner = each.value.aligner
      }
    }
  }
  documentation {
    content   = each.value.help
    mime_type = "text/markdown"
  }
}

resource "google_billing_budget" "this" {
  count           = var.billing_account == null ? 0 : 1
  billing_account = var.billing_account
  display_name    = var.name
  budget_filter {
    projects = ["projects/${var.project_number}"]
  }
  amount {
    specified_amount {
      units = tostring(var.monthly_budget)
    }
  }
  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }
  threshold_rules {
    threshold_percent = 1.2
    spend_basis       = "FORECASTED_SPEND"
  }
  # Without an address of one's own, the administrators of the billing account are told.
  dynamic "all_updates_rule" {
    for_each = length(var.mails) > 0 ? [1] : []
    content {
      monitoring_notification_channels = local.channels
      disable_default_iam_recipients   = true
    }
  }
}
