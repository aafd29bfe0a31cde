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
  default     = "europe-west1"
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is the name of a region, e.g. europe-west1 (not of a zone)."
  }
}

variable "zone" {
  type        = string
  description = "Zone of the machines, one of the region."
  default     = "europe-west1-b"
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+-[a-z]$", var.zone)) && startswith(var.zone, var.region)
    error_message = "zone is a zone of the region, e.g. europe-west1-b."
  }
}

variable "images" {
  type        = object({ job = optional(string), superset = optional(string) })
  description = "Tags of the images in the registry: of serverless batches (null runs recomputes on the cluster) and of Superset (null runs none)."
  default     = {}
  nullable    = false
  validation {
    condition     = alltrue([for tag in values(var.images) : tag == null || can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]*$", tag))])
    error_message = "A tag has letters, digits, dots, hyphens and underscores."
  }
}

variable "dashboard_users" {
  type        = set(string)
  description = "Who may reach Superset, e.g. user:ann@example.com or group:analysts@example.com."
  default     = []
  validation {
    condition     = alltrue([for user in var.dashboard_users : can(regex("^(user|group|serviceAccount|domain):[^ ]+$", user))])
    error_message = "Each of dashboard_users looks like user:ann@example.com or group:analysts@example.com."
  }
}

variable "jobs_enabled" {
  type        = bool
  description = "Whether the streaming job and the schedules run: false at first, true once prepare.sh has run."
  default     = false
  nullable    = false
  validation {
    condition     = contains([true, false], var.jobs_enabled)
    error_message = "jobs_enabled is true or false."
  }
}

variable "mails" {
  type        = set(string)
  description = "Addresses that get alerts and news of the budget, five at most."
  default     = []
  validation {
    condition     = length(var.mails) <= 5 && alltrue([for mail in var.mails : can(regex("^[^@ ]+@[^@ ]+$", mail))])
    error_message = "mails has five e-mail addresses at most."
  }
}

variable "billing_account" {
  type        = string
  description = "Id of the billing account, e.g. 012345-6789AB-CDEF01; null makes no budget."
  default     = null
  validation {
    condition     = var.billing_account == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "billing_account looks like 012345-6789AB-CDEF01, or is null."
  }
}

variable "monthly_budget" {
  type        = number
  description = "What a month may cost, in whole units of the billing account's currency."
  default     = 2000
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
  default     = 1
  validation {
    condition     = var.database_passwords_version >= 1 && floor(var.database_passwords_version) == var.database_passwords_version
    error_message = "database_passwords_version is a whole number from 1."
  }
}
