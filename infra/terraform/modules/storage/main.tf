# Two buckets: the history, which cannot be made again, and the code with Dataproc's own files, which can.
# The history is Delta tables. Delta keeps old files itself until `vacuum`, for as long as readers may need them, so
# object versions would only keep what Delta has given up: versioning is off, and what is deleted by mistake comes back
# from soft delete.

resource "google_storage_bucket" "history" {
  #checkov:skip=CKV_GCP_78:see the top: Delta keeps versions, soft delete keeps what was deleted
  #checkov:skip=CKV_GCP_62:reads are in Cloud Audit Logs, by the module project
  project                     = var.project_id
  name                        = "${var.project_id}-${var.name}-history"
  location                    = upper(var.region) # beside Spark: no traffic between regions
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  labels                      = { app = var.name, holds = "history" }

  soft_delete_policy {
    retention_duration_seconds = var.soft_delete_days * 86400
  }

  lifecycle_rule {
    condition {
      age            = var.nearline_after_days
      matches_prefix = ["usage/"]
      matches_suffix = [".parquet"] # Delta's log is read by each query and stays where it is
    }
    action {
      type          = "SetStorageClass"
      storage_class = "NEARLINE"
    }
  }

  lifecycle_rule {
    condition {
      age = 2
    }
    action {
      type = "AbortIncompleteMultipartUpload"
    }
  }
}

resource "google_storage_bucket" "work" {
  #checkov:skip=CKV_GCP_78:all of it can be made again: make dist, or the next job
  #checkov:skip=CKV_GCP_62:reads are in Cloud Audit Logs, by the module project
  project                     = var.project_id
  name                        = "${var.project_id}-${var.name}-${each.key}"
  for_each                    = toset(["code", "staging"])
  location                    = upper(var.region)
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true
  labels                      = { app = var.name, holds = each.key }

  soft_delete_policy {
    retention_duration_seconds = 0 # temporary files would be paid for a week after they are gone
  }

  dynamic "lifecycle_rule" {
    for_each = each.key == "staging" ? [1] : []
    content {
      condition {
        age = 30
      }
      action {
        type = "Delete"
      }
    }
  }
}

# What `make dist` and `pip wheel` have made.
resource "google_storage_bucket_object" "code" {
  for_each = fileset(var.dist, "*.{zip,py,sh,txt,whl}")
  bucket   = google_storage_bucket.work["code"].name
  name     = each.value
  source   = "${var.dist}/${each.value}"
}

# Spark writes, compacts and vacuums the history; it reads the code and cannot change it.
resource "google_storage_bucket_iam_member" "spark" {
  for_each = {
    history = [google_storage_bucket.history.name, "roles/storage.objectUser"]
    code    = [google_storage_bucket.work["code"].name, "roles/storage.objectViewer"]
    staging = [google_storage_bucket.work["staging"].name, "roles/storage.objectAdmin"]
  }
  bucket = each.value[0]
  role   = each.value[1]
  member = "serviceAccount:${var.spark_service_account}"
}

# The connector of Cloud Storage asks for the bucket before its objects; this role is the least that answers.
resource "google_storage_bucket_iam_member" "spark_bucket" {
  for_each = {
    history = google_storage_bucket.history.name
    code    = google_storage_bucket.work["code"].name
    staging = google_storage_bucket.work["staging"].name
  }
  bucket = each.value
  role   = "roles/storage.legacyBucketReader"
  member = "serviceAccount:${var.spark_service_account}"
}

check "code" {
  assert {
    condition = length(fileset(var.dist, "*.whl")) == 1 && alltrue([
      for name in ["bytemeter.zip", "cluster-driver.txt", "executor.txt", "packages.sh"] : fileexists("${var.dist}/${name}")
    ])
    error_message = "${var.dist} lacks what machines install: make it first (docs/cloud.md), or the cluster cannot start."
  }
}
