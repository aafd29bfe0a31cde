# A network of its own: no machine has a public address, and nothing is open to the internet.

locals {
  # Each kind of machine has a range of its own, by which rules name what has no account of ours.
  ranges = zipmap(["machines", "batches", "services"], cidrsubnets(var.cidr, 1, 2, 2))
}

resource "google_compute_network" "this" {
  project                         = var.project_id
  name                            = var.name
  auto_create_subnetworks         = false
  routing_mode                    = "REGIONAL"
  delete_default_routes_on_create = false # Cloud NAT needs the default route
}

resource "google_compute_subnetwork" "this" {
  for_each                 = local.ranges
  project                  = var.project_id
  name                     = each.key == "machines" ? var.name : "${var.name}-${each.key}"
  region                   = var.region
  network                  = google_compute_network.this.id
  ip_cidr_range            = each.value
  stack_type               = "IPV4_ONLY"
  private_ip_google_access = true # Cloud Storage and Secret Manager without a public address
  dynamic "log_config" {
    for_each = var.flow_logs ? [1] : []
    content {
      aggregation_interval = "INTERVAL_10_MIN"
      flow_sampling        = 0.1
      metadata             = "INCLUDE_ALL_METADATA"
    }
  }
}

# Outgoing only: packages (Maven, PyPI, Kafka) are fetched when a machine is set up and a job starts.
resource "google_compute_router" "this" {
  project = var.project_id
  name    = var.name
  region  = var.region
  network = google_compute_network.this.id
}

resource "google_compute_router_nat" "this" {
  project                            = var.project_id
  name                               = var.name
  region                             = var.region
  router                             = google_compute_router.this.name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "LIST_OF_SUBNETWORKS"
  dynamic "subnetwork" {
    # Superset's container calls nothing outside.
    for_each = ["machines", "batches"]
    content {
      name                    = google_compute_subnetwork.this[subnetwork.value].id
      source_ip_ranges_to_nat = ["ALL_IP_RANGES"]
    }
  }
  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}

# Private services access: Cloud SQL gets an address from this range.
resource "google_compute_global_address" "services" {
  project       = var.project_id
  name          = "${var.name}-services"
  network       = google_compute_network.this.id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
}

resource "google_service_networking_connection" "services" {
  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.services.name]
}

# What no rule below allows is refused: each network ends in a rule that denies all incoming connections.
resource "google_compute_firewall" "spark" {
  project                 = var.project_id
  name                    = "${var.name}-spark"
  network                 = google_compute_network.this.id
  description             = "Machines of the Spark cluster among each other: YARN, HDFS and shuffles choose their ports."
  direction               = "INGRESS"
  priority                = 1000
  source_service_accounts = [var.spark_service_account]
  target_service_accounts = [var.spark_service_account]
  allow {
    protocol = "tcp"
    ports    = ["0-65535"]
  }
  allow {
    protocol = "udp"
    ports    = ["0-65535"]
  }
  allow {
    protocol = "icmp"
  }
}

resource "google_compute_firewall" "kafka" {
  count                   = var.kafka_on_vm ? 1 : 0
  project                 = var.project_id
  name                    = "${var.name}-kafka"
  network                 = google_compute_network.this.id
  description             = "Spark to the broker."
  direction               = "INGRESS"
  priority                = 1000
  source_service_accounts = [var.spark_service_account]
  target_service_accounts = [var.kafka_service_account]
  allow {
    protocol = "tcp"
    ports    = ["9092"]
  }
}

# Machines of serverless batches are Google's, with addresses of their subnetwork; no rule can name their account.
resource "google_compute_firewall" "serverless" {
  count              = var.serverless ? 1 : 0
  project            = var.project_id
  name               = "${var.name}-serverless"
  network            = google_compute_network.this.id
  description        = "Driver and executors of a serverless batch among each other."
  direction          = "INGRESS"
  priority           = 1000
  source_ranges      = [local.ranges.batches]
  destination_ranges = [local.ranges.batches]
  allow {
    protocol = "tcp"
    ports    = ["0-65535"]
  }
  allow {
    protocol = "udp"
    ports    = ["0-65535"]
  }
  allow {
    protocol = "icmp"
  }
}

resource "google_compute_firewall" "serverless_kafka" {
  count                   = var.serverless && var.kafka_on_vm ? 1 : 0
  project                 = var.project_id
  name                    = "${var.name}-serverless-kafka"
  network                 = google_compute_network.this.id
  description             = "Serverless batches to the broker."
  direction               = "INGRESS"
  priority                = 1000
  source_ranges           = [local.ranges.batches]
  target_service_accounts = [var.kafka_service_account]
  allow {
    protocol = "tcp"
    ports    = ["9092"]
  }
}

resource "google_compute_firewall" "ssh" {
  project     = var.project_id
  name        = "${var.name}-ssh"
  network     = google_compute_network.this.id
  description = "SSH from Identity-Aware Proxy only: who may, says IAM (roles/iap.tunnelResourceAccessor)."
  direction   = "INGRESS"
  priority    = 1000
  # The addresses of Identity-Aware Proxy's TCP forwarding.
  source_ranges           = ["35.235.240.0/20"]
  target_service_accounts = compact([var.spark_service_account, var.kafka_service_account])
  allow {
    protocol = "tcp"
    ports    = ["22"]
  }
  log_config {
    metadata = "EXCLUDE_ALL_METADATA"
  }
}

output "network" {
  description = "Id of the network, once services may have addresses in it."
  value       = google_compute_network.this.id
  depends_on  = [google_service_networking_connection.services]
}

output "subnetwork" {
  description = "Id of the subnetwork of all machines."
  value       = google_compute_subnetwork.this["machines"].id
}

output "batch_subnetwork" {
  description = "Id of the subnetwork of serverless batches."
  value       = google_compute_subnetwork.this["batches"].id
}

output "service_subnetwork" {
  description = "Id of the subnetwork from which containers of Cloud Run reach PostgreSQL."
  value       = google_compute_subnetwork.this["services"].id
}
