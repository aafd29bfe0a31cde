# The images: of serverless batches (infra/dataproc/Dockerfile) and of Superset (infra/superset/Dockerfile).

resource "google_artifact_registry_repository" "this" {
  #checkov:skip=CKV_GCP_84:encrypted by Google's keys; images can be built again
  project       = var.project_id
  location      = var.region
  repository_id = var.name
  description   = "Images of serverless batches and of Superset."
  format        = "DOCKER"
  labels        = { app = var.name }
  docker_config {
    immutable_tags = true # a tag that runs is never another image
  }
  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"
    most_recent_versions {
      keep_count = 10
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "7776000s"
    }
  }
}

# A batch pulls its image by its own account; Cloud Run does by an agent of Google's.
resource "google_artifact_registry_repository_iam_member" "spark" {
  project    = var.project_id
  location   = var.region
  repository = google_artifact_registry_repository.this.name
  role       = "roles/artifactregistry.reader"
  member     = "serviceAccount:${var.spark_service_account}"
}
