output "prefix" {
  description = "What images' names begin with, once batches may pull them."
  value       = "${var.region}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.this.repository_id}"
  depends_on  = [google_artifact_registry_repository_iam_member.spark]
}
