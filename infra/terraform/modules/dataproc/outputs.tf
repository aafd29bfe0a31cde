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

output "batch_properties" {
  description = "Properties by which a serverless batch has the settings; secrets are named, not held."
  value = merge(
    { for name, value in local.batch_settings : "spark.dataproc.driverEnv.${name}" => value },
    {
      "spark.dataproc.driverEnv.PGSSLROOTCERT" = "postgresql-ca.pem"
      "spark.jars.packages"                    = join(",", var.batch_jars)
    },
  )
}

output "batch_file" {
  description = "The authority of PostgreSQL's certificate, for the working folders of a serverless batch."
  value       = "gs://${var.code_bucket}/${google_storage_bucket_object.config["postgresql-ca.pem"].name}"
}
