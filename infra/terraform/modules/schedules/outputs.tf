output "workflow" {
  description = "Name of the workflow that starts the runs."
  value       = google_workflows_workflow.recompute.name
}
