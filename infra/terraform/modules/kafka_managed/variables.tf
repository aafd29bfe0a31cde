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

variable "subnetwork_path" {
  type        = string
  description = "projects/P/regions/R/subnetworks/S in which the brokers get their addresses."
  validation {
    condition     = can(regex("^projects/[^/]+/regions/[^/]+/subnetworks/[^/]+$", var.subnetwork_path))
    error_message = "subnetwork_path looks like projects/P/regions/R/subnetworks/S."
  }
}

variable "vcpus" {
  type        = number
  description = "vCPUs of all brokers together."
  validation {
    condition     = var.vcpus >= 3
    error_message = "The service needs 3 vCPUs or more."
  }
}

variable "memory_gib_per_vcpu" {
  type        = number
  description = "Memory for each vCPU, GiB."
  default     = 4
  validation {
    condition     = var.memory_gib_per_vcpu >= 1 && var.memory_gib_per_vcpu <= 8
    error_message = "The service takes 1 to 8 GiB for each vCPU."
  }
}

variable "topics" {
  type        = set(string)
  description = "Names of the topics."
  validation {
    condition     = alltrue([for topic in var.topics : can(regex("^[a-z0-9.-]+$", topic))])
    error_message = "A topic's name has lowercase letters, digits, dots and hyphens."
  }
}

variable "partitions" {
  type        = number
  description = "Partitions of each topic; may be raised, never lowered."
  validation {
    condition     = var.partitions >= 1 && var.partitions <= 1000
    error_message = "partitions is 1 to 1000."
  }
}

variable "retention_days" {
  type        = number
  description = "Days for which messages are kept; the jobs may be away no longer than that."
  validation {
    condition     = var.retention_days >= 1
    error_message = "retention_days is 1 or more."
  }
}
