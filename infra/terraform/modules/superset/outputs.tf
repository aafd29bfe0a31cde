output "name" {
  description = "Name of the service, for gcloud run services proxy."
  value       = google_cloud_run_v2_service.this.name
}
