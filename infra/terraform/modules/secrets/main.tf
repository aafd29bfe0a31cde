# Secrets are named here and read by those who need them. Their values are write-only: none is in Terraform's state.

locals {
  # The user name of each login at PostgreSQL.
  logins = {
    owner      = "bytemeter_owner"
    jobs       = "bytemeter_jobs"
    dashboards = "bytemeter_dashboards"
    superset   = "bytemeter_superset" # Superset's own tables
  }
  databases = { superset = "superset" }
  # What Superset's container reads. Its key and the administrator's password are made by prepare.sh.
  for_superset = ["database-url-dashboards", "database-url-superset", "superset-key", "superset-password"]
  names = setunion(
    [for login in keys(local.logins) : "database-url-${login}"], ["superset-key", "superset-password"],
    var.kafka_on_vm ? [] : ["kafka-password"],
  )
  # Whoever migrates reads the owner's URL with an account of their own.
  for_spark = setunion(["database-url-jobs"], var.kafka_on_vm ? [] : ["kafka-password"])
}

resource "google_secret_manager_secret" "this" {
  for_each            = local.names
  project             = var.project_id
  secret_id           = "${var.name}-${each.value}"
  deletion_protection = false # a secret is made again by raising database_passwords_version
  labels              = { app = var.name }
  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }
}

resource "google_secret_manager_secret_version" "database_url" {
  for_each = local.logins
  secret   = google_secret_manager_secret.this["database-url-${each.key}"].id
  # PGSSLROOTCERT names the file of the authority wherever the URL is used.
  # verify-ca is as strict as it gets: this authority has signed this one instance, whose certificate names no address.
  secret_data_wo = join("", [
    "postgresql://", each.value, ":", var.database_passwords[each.key], "@", var.database_host, ":5432/",
    lookup(local.databases, each.key, var.database_name),
    "?sslmode=verify-ca",
  ])
  secret_data_wo_version = tostring(var.database_passwords_version)
}

resource "google_secret_manager_secret_iam_member" "spark" {
  for_each  = local.for_spark
  project   = var.project_id
  secret_id = google_secret_manager_secret.this[each.value].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${var.spark_service_account}"
}

resource "google_secret_manager_secret_iam_member" "superset" {
  for_each  = toset(local.for_superset)
  project   = var.project_id
  secret_id = google_secret_manager_secret.this[each.value].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${var.superset_service_account}"
}
