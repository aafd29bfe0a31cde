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

variable "service_account" {
  type        = string
  description = "E-mail of the account that starts the jobs."
  validation {
    condition     = strcontains(var.service_account, "@")
    error_message = "service_account is the e-mail of a service account."
  }
}

variable "cluster" {
  type        = string
  description = "Name of the Dataproc cluster."
  validation {
    condition     = length(var.cluster) > 0
    error_message = "cluster is the name of a cluster."
  }
}

variable "code_bucket" {
  type        = string
  description = "Name of the bucket with what make dist has written."
  validation {
    condition     = length(var.code_bucket) >= 3
    error_message = "code_bucket is the name of a bucket, without gs://."
  }
}

variable "history" {
  type        = string
  description = "BYTEMETER_HISTORY, gs://bucket/prefix."
  validation {
    condition     = startswith(var.history, "gs://")
    error_message = "history looks like gs://bucket/prefix."
  }
}

variable "kafka" {
  type        = string
  description = "BYTEMETER_KAFKA, HOST:PORT."
  validation {
    condition     = can(regex("^[^: ]+:[0-9]+$", var.kafka))
    error_message = "kafka looks like broker:9092."
  }
}

variable "hourly" {
  type        = string
  description = "When dirty hours are recomputed, as cron writes it, UTC."
  default     = "20 * * * *"
  validation {
    condition     = length(split(" ", var.hourly)) == 5
    error_message = "hourly has the five fields of cron, e.g. 20 * * * *."
  }
}

variable "dirty_months" {
  type        = string
  description = "When past billing months with late events are billed again, as cron writes it, UTC."
  default     = "10 5 * * *"
  validation {
    condition     = length(split(" ", var.dirty_months)) == 5
    error_message = "dirty_months has the five fields of cron, e.g. 10 5 * * *."
  }
}

variable "maintain" {
  type        = string
  description = "When the history is compacted and cleaned, as cron writes it, UTC."
  default     = "50 * * * *"
  validation {
    condition     = length(split(" ", var.maintain)) == 5
    error_message = "maintain has the five fields of cron, e.g. 50 * * * *."
  }
}

variable "batch" {
  type = object({
    image           = string
    service_account = string
    subnetwork      = string
    staging_bucket  = string
    file            = string
    properties      = map(string)
  })
  description = "How the jobs run as serverless batches: image, account, subnetwork, bucket of Dataproc's files, PostgreSQL's authority, properties. Null runs them on the cluster."
  validation {
    condition     = var.batch == null || can(regex("^[^ ]+:[^ :]+$", var.batch.image))
    error_message = "batch.image is the name of an image with its tag, or batch is null."
  }
}

variable "monthly" {
  type        = string
  description = "When last month is recomputed, as cron writes it, UTC; on a day from the 1st to the 5th."
  default     = "40 4 2 * *"
  validation {
    condition     = can(regex("^[0-9]+ [0-9]+ [1-5] \\* \\*$", var.monthly))
    error_message = "monthly names a minute, an hour and a day from 1 to 5, e.g. 40 4 2 * *."
  }
}

variable "jobs_enabled" {
  type        = bool
  description = "Whether the schedules run; false until the database is prepared."
  nullable    = false
  validation {
    condition     = contains([true, false], var.jobs_enabled)
    error_message = "jobs_enabled is true or false."
  }
}
