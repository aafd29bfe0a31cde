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
  description = "Zone of the machines, e.g. europe-west1-b."
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+-[a-z]$", var.zone)) && startswith(var.zone, var.region)
    error_message = "zone is a zone of the region, e.g. europe-west1-b."
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

variable "flow_logs" {
  type        = bool
  description = "Whether a sample of all connections is logged (costs by volume)."
  nullable    = false
  validation {
    condition     = contains([true, false], var.flow_logs)
    error_message = "flow_logs is true or false."
  }
}

variable "dist" {
  type        = string
  description = "Folder that make dist has written."
  validation {
    condition     = length(var.dist) > 0
    error_message = "dist is the path of a folder, e.g. ../../../../dist."
  }
}

variable "soft_delete_days" {
  type        = number
  description = "Days for which deleted objects of the history can be restored."
  validation {
    condition     = var.soft_delete_days >= 7 && var.soft_delete_days <= 90
    error_message = "Cloud Storage keeps deleted objects from 7 to 90 days."
  }
}

variable "deletion_protection" {
  type        = bool
  description = "Whether terraform destroy of the database is refused."
  nullable    = false
  validation {
    condition     = contains([true, false], var.deletion_protection)
    error_message = "deletion_protection is true or false."
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
  description = "Days for which Kafka keeps messages; the jobs may be away no longer than that."
  validation {
    condition     = var.retention_days >= 1
    error_message = "retention_days is 1 or more."
  }
}

variable "kafka" {
  type = object({
    on_vm          = bool
    vcpus          = optional(number, 3)
    machine_type   = optional(string, "e2-small")
    disk_gb        = optional(number, 20)
    archive_url    = optional(string, "https://archive.apache.org/dist/kafka/4.1.1/kafka_2.13-4.1.1.tgz")
    archive_sha512 = optional(string)
  })
  description = "Kafka on a machine (machine_type, disk_gb, the archive of Kafka and its SHA-512) or as the managed service (vcpus)."
  validation {
    condition     = !var.kafka.on_vm || var.kafka.archive_sha512 != null
    error_message = "kafka.archive_sha512 is missing: Kafka's download page has it beside the archive."
  }
}

variable "database" {
  type = object({
    tier             = string
    highly_available = bool
    disk_gb          = number
    disk_limit_gb    = number
    retained_backups = number
  })
  description = "PostgreSQL: machine, standby, disk at first and at most (GB), daily backups that are kept."
  validation {
    condition     = var.database.disk_limit_gb >= var.database.disk_gb
    error_message = "database.disk_limit_gb is not less than database.disk_gb."
  }
}

variable "spark" {
  type = object({
    master_machine_type   = string
    worker_machine_type   = string
    workers               = number
    max_secondary_workers = number
    boot_disk_gb          = number
    driver_memory         = string
  })
  description = "Dataproc: machines, workers that are always there and those added for recomputes, disks (GB), heap of the driver."
  validation {
    condition     = var.spark.workers > 0 || var.spark.max_secondary_workers == 0
    error_message = "A cluster of the master alone (workers = 0) has no secondary workers."
  }
}

variable "images" {
  type        = object({ job = optional(string), superset = optional(string) })
  description = "Tags of the images in the registry: of serverless batches (null runs recomputes on the cluster) and of Superset (null runs none)."
  nullable    = false
  validation {
    condition     = alltrue([for tag in values(var.images) : tag == null || can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]*$", tag))])
    error_message = "A tag has letters, digits, dots, hyphens and underscores."
  }
}

variable "dashboards" {
  type        = object({ users = optional(set(string), []), min_instances = optional(number, 0) })
  description = "Who may reach Superset, e.g. group:analysts@example.com, and how many containers always run (0 or 1)."
  nullable    = false
  validation {
    condition     = alltrue([for user in var.dashboards.users : can(regex("^(user|group|serviceAccount|domain):[^ ]+$", user))])
    error_message = "Each of dashboards.users looks like user:ann@example.com or group:analysts@example.com."
  }
}

variable "jobs_enabled" {
  type        = bool
  description = "Whether the streaming job and the schedules run; false until prepare.sh has run."
  nullable    = false
  validation {
    condition     = contains([true, false], var.jobs_enabled)
    error_message = "jobs_enabled is true or false."
  }
}

variable "mails" {
  type        = set(string)
  description = "Addresses that get alerts and news of the budget, five at most."
  validation {
    condition     = length(var.mails) <= 5 && alltrue([for mail in var.mails : can(regex("^[^@ ]+@[^@ ]+$", mail))])
    error_message = "mails has five e-mail addresses at most."
  }
}

variable "billing_account" {
  type        = string
  description = "Id of the billing account, e.g. 012345-6789AB-CDEF01; null makes no budget."
  validation {
    condition     = var.billing_account == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "billing_account looks like 012345-6789AB-CDEF01, or is null."
  }
}

variable "monthly_budget" {
  type        = number
  description = "What a month may cost, in whole units of the billing account's currency."
  validation {
    condition     = var.monthly_budget >= 1 && floor(var.monthly_budget) == var.monthly_budget
    error_message = "monthly_budget is a whole number from 1."
  }
}

variable "database_passwords" {
  type        = object({ owner = string, jobs = string, dashboards = string, superset = string })
  description = "Passwords of PostgreSQL's logins; new ones are written when database_passwords_version is raised, and ignored otherwise."
  ephemeral   = true
  sensitive   = true
  validation {
    condition     = alltrue([for password in values(var.database_passwords) : can(regex("^[A-Za-z0-9_-]{24,}$", password))])
    error_message = "A password has 24 or more letters, digits, hyphens and underscores: it stands in a URL."
  }
}

variable "database_passwords_version" {
  type        = number
  description = "Raised by one to change all passwords."
  validation {
    condition     = var.database_passwords_version >= 1 && floor(var.database_passwords_version) == var.database_passwords_version
    error_message = "database_passwords_version is a whole number from 1."
  }
}
