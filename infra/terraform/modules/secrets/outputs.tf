output "names" {
  description = "The names of the secrets by what they hold."
  value       = { for key, secret in google_secret_manager_secret.this : key => secret.secret_id }
}

output "for_spark" {
  description = "The names of the secrets that Spark's machines read, once they may and the database's URL is there."
  value       = { for name in local.for_spark : name => google_secret_manager_secret.this[name].secret_id }
  depends_on  = [google_secret_manager_secret_iam_member.spark, google_secret_manager_secret_version.database_url]
}

output "for_superset" {
  description = "The names of the secrets that Superset's container reads, once it may."
  value       = { for name in local.for_superset : name => google_secret_manager_secret.this[name].secret_id }
  depends_on  = [google_secret_manager_secret_iam_member.superset, google_secret_manager_secret_version.database_url]
}
