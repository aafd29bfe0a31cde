variable "name" {
  type        = string
  description = "Prefix of all names, e.g. bytemeter."
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,14}$", var.name))
    error_message = "name has 2 to 15 lowercase letters, digits and hyphens, and starts with a letter."
  }
}

variable "project_id" {
  type        = string
  description = "The project in which everything is made; it exists and has a billing account."
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id has 6 to 30 lowercase letters, digits and hyphens, e.g. usage-trial-1."
  }
}

variable "region" {
  type        = string
  description = "The region, e.g. europe-west1."
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is the name of a region, e.g. europe-west1 (not of a zone)."
  }
}

variable "cidr" {
  type        = string
  description = "Addresses of the machines, a private range of IPv4 from /16 to /24."
  validation {
    condition     = can(cidrnetmask(var.cidr)) && try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 24, false)
    error_message = "cidr is a range from /16 to /24, e.g. 10.20.0.0/20."
  }
}

variable "spark_service_account" {
  type        = string
  description = "E-mail of the service account of Spark's machines; firewall rules name it."
  validation {
    condition     = strcontains(var.spark_service_account, "@")
    error_message = "spark_service_account is the e-mail of a service account."
  }
}

variable "kafka_service_account" {
  type        = string
  description = "E-mail of the service account of Kafka's machine; null where Kafka is the managed service."
  nullable    = true
  validation {
    condition     = var.kafka_service_account == null || strcontains(coalesce(var.kafka_service_account, "@"), "@")
    error_message = "kafka_service_account is the e-mail of a service account, or null."
  }
}

variable "kafka_on_vm" {
  type        = bool
  description = "Whether Kafka runs on a machine of this network, so that Spark has to reach its port."
  validation {
    condition     = var.kafka_on_vm != null
    error_message = "kafka_on_vm is true or false."
  }
}

variable "flow_logs" {
  type        = bool
  description = "Whether a sample of all connections is logged (costs by volume)."
  validation {
    condition     = var.flow_logs != null
    error_message = "flow_logs is true or false."
  }
}

variable "serverless" {
  type        = bool
  description = "Whether recomputes are serverless batches, whose machines reach each other and Kafka by their addresses."
  nullable    = false
  validation {
    condition     = contains([true, false], var.serverless)
    error_message = "serverless is true or false."
  }
}
