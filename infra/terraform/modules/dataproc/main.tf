# The cluster on which the jobs run. Its image has Spark 4.1, to which the jars belong (bytemeter/versions.py).

locals {
  folder = "/etc/bytemeter"
  # The settings that every job and `bytemeter migrate` see. Files of secrets are written by refresh.sh.
  settings = merge(
    {
      BYTEMETER_KAFKA             = var.kafka
      BYTEMETER_HISTORY           = var.history
      BYTEMETER_DATABASE_URL_FILE = "${local.folder}/database-url"
      BYTEMETER_PARTITIONS        = tostring(var.partitions)
    },
    var.kafka_login == null ? {} : {
      BYTEMETER_KAFKA_SECURITY_PROTOCOL  = "SASL_SSL"
      BYTEMETER_KAFKA_SASL_MECHANISM     = "PLAIN"
      BYTEMETER_KAFKA_SASL_USERNAME      = var.kafka_login
      BYTEMETER_KAFKA_SASL_PASSWORD_FILE = "${local.folder}/kafka-password"
    },
  )
  # A serverless batch has no files of its machine: it reads the secrets itself.
  batch_settings = merge(
    { for name, value in local.settings : name => value if !endswith(name, "_FILE") },
    { BYTEMETER_DATABASE_URL_SECRET = "projects/${var.project_id}/secrets/${var.secrets["database-url"]}" },
    var.kafka_login == null ? {} : {
      BYTEMETER_KAFKA_SASL_PASSWORD_SECRET = "projects/${var.project_id}/secrets/${var.secrets["kafka-password"]}"
    },
  )
  properties = merge(
    { for name, value in local.settings : "spark-env:${name}" => value },
    {
      "spark-env:PGSSLROOTCERT"            = "${local.folder}/postgresql-ca.pem"
      "spark:spark.jars.packages"          = join(",", var.jars)
      "spark:spark.pyspark.python"         = "/opt/bytemeter/venv/bin/python"
      "spark:spark.pyspark.driver.python"  = "/opt/bytemeter/venv/bin/python"
      "spark:spark.authenticate"           = "true"
      "spark:spark.network.crypto.enabled" = "true"
      # The shuffle service is part of YARN and has to agree.
      "yarn:spark.authenticate"           = "true"
      "yarn:spark.network.crypto.enabled" = "true"
    },
    var.workers == 0 ? { "dataproc:dataproc.allow.zero.workers" = "true" } : {},
  )
  scripts = {
    for name in ["install.sh", "refresh.sh", "prepare.py"] : name => file("${path.module}/${name}")
  }
}

resource "google_storage_bucket_object" "config" {
  for_each = merge(local.scripts, {
    "settings"          = join("", [for name, value in local.settings : "${name}=${value}\n"])
    "secrets"           = join("", [for file, secret in var.secrets : "${file} ${secret}\n"])
    "postgresql-ca.pem" = var.postgresql_certificate
  })
  bucket  = var.code_bucket
  name    = "config/${each.key}"
  content = each.value
}

resource "google_dataproc_autoscaling_policy" "this" {
  count     = var.workers == 0 ? 0 : 1
  project   = var.project_id
  location  = var.region
  policy_id = var.name
  # The streaming queries live on the first workers, whose number is fixed; recomputes are what more machines are for.
  worker_config {
    min_instances = var.workers
    max_instances = var.workers
  }
  secondary_worker_config {
    min_instances = 0
    max_instances = var.max_secondary_workers
  }
  basic_algorithm {
    cooldown_period = "300s"
    yarn_config {
      scale_up_factor               = 0.5
      scale_down_factor             = 0.5
      graceful_decommission_timeout = "3600s"
    }
  }
}

resource "google_dataproc_cluster" "this" {
  #checkov:skip=CKV_GCP_91:encrypted by Google's keys; the history, which counts, is in the bucket
  project                       = var.project_id
  name                          = var.name
  region                        = var.region
  graceful_decommission_timeout = "600s"
  labels                        = { app = var.name }

  cluster_config {
    staging_bucket = var.staging_bucket
    temp_bucket    = var.staging_bucket

    gce_cluster_config {
      zone                   = var.zone
      subnetwork             = var.subnetwork
      internal_ip_only       = true
      service_account        = var.service_account
      service_account_scopes = ["cloud-platform"] # what it may do, IAM says
      metadata = {
        "bytemeter-code"         = var.code_bucket
        "block-project-ssh-keys" = "true"
        "enable-oslogin"         = "TRUE"
      }
      shielded_instance_config {
        enable_secure_boot          = true
        enable_vtpm                 = true
        enable_integrity_monitoring = true
      }
    }

    master_config {
      num_instances = 1
      machine_type  = var.master_machine_type
      disk_config {
        boot_disk_type    = "pd-balanced"
        boot_disk_size_gb = var.boot_disk_gb
      }
    }

    worker_config {
      num_instances = var.workers
      machine_type  = var.workers == 0 ? null : var.worker_machine_type
      dynamic "disk_config" {
        for_each = var.workers == 0 ? [] : [1]
        content {
          boot_disk_type    = "pd-balanced"
          boot_disk_size_gb = var.boot_disk_gb
        }
      }
    }

    software_config {
      image_version       = var.image_version
      override_properties = local.properties
    }

    initialization_action {
      script      = "gs://${var.code_bucket}/packages.sh" # of make dist
      timeout_sec = 900
    }

    initialization_action {
      script      = "gs://${var.code_bucket}/${google_storage_bucket_object.config["install.sh"].name}"
      timeout_sec = 300
    }

    dynamic "autoscaling_config" {
      for_each = google_dataproc_autoscaling_policy.this
      content {
        policy_uri = autoscaling_config.value.name
      }
    }
  }

  lifecycle {
    # The policy changes the number of secondary workers.
    ignore_changes = [cluster_config[0].preemptible_worker_config]
  }

  depends_on = [google_storage_bucket_object.config]
}

# The live and the history queries of all feeds. Dataproc starts them again when they fail.
resource "google_dataproc_job" "stream" {
  count        = var.jobs_enabled ? 1 : 0
  project      = var.project_id
  region       = var.region
  force_delete = true # a streaming job ends by being cancelled; it goes on where it was
  labels       = { app = var.name, job = "stream" }
  placement {
    cluster_name = google_dataproc_cluster.this.name
  }
  pyspark_config {
    main_python_file_uri = "gs://${var.code_bucket}/stream_usage.py"
    python_file_uris     = ["gs://${var.code_bucket}/bytemeter.zip"]
    args                 = ["--kafka", var.kafka, "--history", var.history]
    properties           = { "spark.driver.memory" = var.driver_memory }
  }
  scheduling {
    max_failures_per_hour = 10
    max_failures_total    = 240
  }
}
