# Superset on Cloud Run, from the image of infra/superset/Dockerfile. Google asks for a login first (IAM), then Superset.

locals {
  folder = "/secrets"
}

resource "google_cloud_run_v2_service" "this" {
  project             = var.project_id
  name                = "${var.name}-superset"
  location            = var.region
  description         = "The dashboards; its users reach it by gcloud run services proxy."
  ingress             = "INGRESS_TRAFFIC_ALL" # of those whom IAM admits; nobody else gets further than Google's front end
  deletion_protection = false                 # it holds nothing: its tables are in PostgreSQL
  labels              = { app = var.name }

  template {
    service_account                  = var.service_account
    timeout                          = "120s"
    max_instance_request_concurrency = 40
    session_affinity                 = true
    scaling {
      min_instance_count = var.min_instances
      # Attempts to log in are counted, and drafts are kept, in files of the container.
      max_instance_count = 1
    }
    vpc_access {
      egress = "PRIVATE_RANGES_ONLY"
      network_interfaces {
        network    = var.network
        subnetwork = var.subnetwork
      }
    }
    containers {
      image = var.image
      ports {
        container_port = 8088
      }
      resources {
        limits            = { cpu = "2", memory = "2Gi" }
        cpu_idle          = true
        startup_cpu_boost = true
      }
      env {
        name  = "BYTEMETER_SUPERSET_SECRETS"
        value = local.folder
      }
      env {
        name  = "BYTEMETER_POSTGRESQL_CA"
        value = var.postgresql_certificate
      }
      dynamic "volume_mounts" {
        for_each = var.secrets
        content {
          name       = volume_mounts.key
          mount_path = "${local.folder}/${volume_mounts.key}"
        }
      }
      # The first start makes Superset's tables. Cloud Run waits for four minutes at most.
      startup_probe {
        period_seconds    = 10
        timeout_seconds   = 5
        failure_threshold = 24
        http_get {
          path = "/health"
        }
      }
      liveness_probe {
        period_seconds    = 60
        timeout_seconds   = 10
        failure_threshold = 3
        http_get {
          path = "/health"
        }
      }
    }
    dynamic "volumes" {
      for_each = var.secrets
      content {
        name = volumes.key
        secret {
          secret = volumes.value
          items {
            version = "latest"
            path    = "value"
          }
        }
      }
    }
  }
}

resource "google_cloud_run_v2_service_iam_member" "user" {
  for_each = var.users
  project  = var.project_id
  location = var.region
  name     = google_cloud_run_v2_service.this.name
  role     = "roles/run.invoker"
  member   = each.value
}
