# Cloud SQL for PostgreSQL: a private address only, TLS only, daily backups and the log for recovery to any second.

resource "google_sql_database_instance" "this" {
  #checkov:skip=CKV_GCP_109:log_min_error_statement is panic, or statements with MSISDNs would stand in the log
  #checkov:skip=CKV_GCP_110:pgaudit writes statements with their values, MSISDNs among them, to the log
  #checkov:skip=CKV_GCP_111:log_statement would do the same
  #checkov:skip=CKV_GCP_6:ssl_mode = ENCRYPTED_ONLY refuses what is not TLS; the check wants client certificates
  #checkov:skip=CKV_GCP_108:private addresses have no host names to log
  #checkov:skip=CKV2_GCP_13:a line for each statement of the streaming queries would fill the log
  project             = var.project_id
  name                = var.name
  region              = var.region
  database_version    = var.postgresql_version
  deletion_protection = var.deletion_protection

  settings {
    tier                        = var.tier
    edition                     = "ENTERPRISE"
    availability_type           = var.highly_available ? "REGIONAL" : "ZONAL"
    disk_type                   = "PD_SSD"
    disk_size                   = var.disk_gb
    disk_autoresize             = true
    disk_autoresize_limit       = var.disk_limit_gb
    deletion_protection_enabled = var.deletion_protection
    retain_backups_on_delete    = var.deletion_protection
    user_labels                 = { app = var.name }

    ip_configuration {
      ipv4_enabled    = false
      private_network = var.network
      ssl_mode        = "ENCRYPTED_ONLY"
      # An authority for this instance alone, so that sslmode=verify-ca accepts no other server.
      server_ca_mode = "GOOGLE_MANAGED_INTERNAL_CA"
    }

    backup_configuration {
      enabled                        = true
      start_time                     = "02:00" # UTC
      location                       = var.region
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = 7
      backup_retention_settings {
        retained_backups = var.retained_backups
        retention_unit   = "COUNT"
      }
    }

    maintenance_window {
      day          = 7
      hour         = 3
      update_track = "stable"
    }

    # What an auditor looks for (who connected, what waited), and, by the last two, what keeps MSISDNs out of the log:
    # PostgreSQL would write the statement and the row of each error (docs/settings.md).
    database_flags {
      name  = "log_checkpoints"
      value = "on"
    }

    database_flags {
      name  = "log_connections"
      value = "on"
    }

    database_flags {
      name  = "log_disconnections"
      value = "on"
    }

    database_flags {
      name  = "log_lock_waits"
      value = "on"
    }

    database_flags {
      name  = "log_temp_files"
      value = "0"
    }

    database_flags {
      name  = "log_min_duration_statement"
      value = "-1"
    }

    database_flags {
      name  = "log_min_error_statement"
      value = "panic"
    }

    database_flags {
      name  = "log_error_verbosity"
      value = "terse"
    }

    insights_config {
      query_insights_enabled  = true
      query_string_length     = 1024
      record_application_tags = false
      record_client_address   = false
    }
  }
}

resource "google_sql_database" "usage" {
  project         = var.project_id
  instance        = google_sql_database_instance.this.name
  name            = "usage"
  deletion_policy = "ABANDON" # the tables belong to the login below; the instance takes both with it
}

# The owner migrates. It makes the two other logins, which have the roles of the migrations and nothing else
# (modules/dataproc/prepare.py): Cloud SQL gives a user that it makes itself more rights than they need.
resource "google_sql_user" "owner" {
  project             = var.project_id
  instance            = google_sql_database_instance.this.name
  name                = "bytemeter_owner"
  password_wo         = var.database_passwords.owner
  password_wo_version = var.database_passwords_version
  deletion_policy     = "ABANDON"
}
