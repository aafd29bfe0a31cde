# The APIs that the other modules call, and the log of who read data.

resource "google_project_service" "api" {
  for_each           = var.services
  project            = var.project_id
  service            = each.value
  disable_on_destroy = false # other things in the project may need it
}

# Reads of secrets and of the history are logged; without this only changes are.
resource "google_project_iam_audit_config" "reads" {
  for_each = toset(["secretmanager.googleapis.com", "storage.googleapis.com"])
  project  = var.project_id
  service  = each.value
  audit_log_config {
    log_type = "DATA_READ"
  }
  audit_log_config {
    log_type = "DATA_WRITE"
  }
}

output "project_id" {
  description = "The project, once its APIs are on."
  value       = var.project_id
  depends_on  = [google_project_service.api]
}
