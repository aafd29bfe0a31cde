output "history" {
  description = "BYTEMETER_HISTORY: where the Delta tables are."
  value       = "gs://${google_storage_bucket.history.name}/usage"
}

output "history_bucket" {
  description = "Name of the bucket of the history."
  value       = google_storage_bucket.history.name
}

output "code_bucket" {
  description = "Name of the bucket of the code, once all of it is there and Spark may read it."
  value       = google_storage_bucket.work["code"].name
  depends_on  = [google_storage_bucket_object.code, google_storage_bucket_iam_member.spark]
}

output "staging_bucket" {
  description = "Name of the bucket of Dataproc's own files, once Spark may write there."
  value       = google_storage_bucket.work["staging"].name
  depends_on  = [google_storage_bucket_iam_member.spark, google_storage_bucket_iam_member.spark_bucket]
}

output "project_number" {
  description = "Number of the project that the buckets are in."
  value       = tostring(google_storage_bucket.history.project_number)
}
