output "cluster" {
  description = "Name of the cluster."
  value       = google_dataproc_cluster.this.name
}

output "master" {
  description = "Name of the master's machine."
  value       = "${google_dataproc_cluster.this.name}-m"
}

output "settings" {
  description = "The settings that jobs see; no secret is among them, but the paths of the files with secrets."
  value       = local.settings
}
