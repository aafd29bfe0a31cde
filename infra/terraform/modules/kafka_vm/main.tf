# One machine with one broker, as in the seed's guide, but without a public address. Its port speaks neither TLS nor SASL:
# the firewall lets Spark's machines reach it and nobody else. For a trial: when the machine is away, so is Kafka.

resource "google_compute_disk" "data" {
  #checkov:skip=CKV_GCP_37:encrypted by Google's keys; a trial has no key management
  project = var.project_id
  name    = "${var.name}-kafka-data"
  zone    = var.zone
  type    = "pd-balanced"
  size    = var.disk_gb
  labels  = { app = var.name }
}

resource "google_compute_instance" "kafka" {
  #checkov:skip=CKV_GCP_38:encrypted by Google's keys; a trial has no key management
  project                   = var.project_id
  name                      = "${var.name}-kafka"
  zone                      = var.zone
  machine_type              = var.machine_type
  allow_stopping_for_update = true
  labels                    = { app = var.name }

  boot_disk {
    initialize_params {
      image = var.image
      size  = 10
      type  = "pd-balanced"
    }
  }

  attached_disk {
    source      = google_compute_disk.data.id
    device_name = "kafka-data"
  }

  network_interface {
    subnetwork = var.subnetwork
  }

  metadata = {
    block-project-ssh-keys = "true"
    enable-oslogin         = "TRUE"
    startup-script = templatefile("${path.module}/start.sh", {
      archive_url = var.archive_url
      sha512      = var.archive_sha512
      host        = "${var.name}-kafka.${var.zone}.c.${var.project_id}.internal"
      partitions  = var.partitions
      hours       = var.retention_days * 24
    })
  }

  service_account {
    email  = var.service_account
    scopes = ["cloud-platform"] # what it may do, IAM says: write logs and metrics
  }

  shielded_instance_config {
    enable_secure_boot          = true
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }
}
