output "host" {
  description = "Private address of PostgreSQL, once the database and its owner are there."
  value       = google_sql_database_instance.this.private_ip_address
  depends_on  = [google_sql_database.usage, google_sql_user.owner]
}

output "database" {
  description = "Name of the database."
  value       = google_sql_database.usage.name
}

output "instance" {
  description = "Name of the instance."
  value       = google_sql_database_instance.this.name
}

output "certificate" {
  description = "The authority that signed the server's certificate, PEM; not a secret."
  value       = google_sql_database_instance.this.server_ca_cert[0].cert
}
