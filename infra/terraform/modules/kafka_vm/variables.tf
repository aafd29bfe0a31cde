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

variable "zone" {
  type        = string
  description = "Zone of the machine, e.g. europe-west1-b."
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+-[a-z]$", var.zone)) && startswith(var.zone, var.region)
    error_message = "zone is a zone of the region, e.g. europe-west1-b."
  }
}

variable "machine_type" {
  type        = string
  description = "Type of the machine, 2 GB of memory or more."
  validation {
    condition     = can(regex("^[a-z0-9]+-[a-z0-9-]+$", var.machine_type))
    error_message = "machine_type is the name of a type, e.g. e2-small."
  }
}

variable "image" {
  type        = string
  description = "Image of the machine, Debian 12."
  default     = "debian-cloud/debian-12"
  validation {
    condition     = strcontains(var.image, "debian-12")
    error_message = "The machine is set up for Debian 12."
  }
}

variable "disk_gb" {
  type        = number
  description = "Size of the disk with Kafka's log, GB."
  validation {
    condition     = var.disk_gb >= 10
    error_message = "disk_gb is 10 or more."
  }
}

variable "subnetwork" {
  type        = string
  description = "Id of the subnetwork."
  validation {
    condition     = length(var.subnetwork) > 0
    error_message = "subnetwork is the id of a subnetwork."
  }
}

variable "service_account" {
  type        = string
  description = "E-mail of the machine's service account."
  validation {
    condition     = strcontains(var.service_account, "@")
    error_message = "service_account is the e-mail of a service account."
  }
}

variable "archive_url" {
  type        = string
  description = "Where Kafka's archive is downloaded from."
  validation {
    condition     = startswith(var.archive_url, "https://") && endswith(var.archive_url, ".tgz")
    error_message = "archive_url is the https address of a .tgz."
  }
}

variable "archive_sha512" {
  type        = string
  description = "SHA-512 of the archive, as Apache's download page shows it."
  validation {
    condition     = can(regex("^[0-9a-f]{128}$", var.archive_sha512))
    error_message = "archive_sha512 has 128 hexadecimal digits, in lowercase and without spaces."
  }
}

variable "partitions" {
  type        = number
  description = "Partitions of a topic that is made without a number."
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
