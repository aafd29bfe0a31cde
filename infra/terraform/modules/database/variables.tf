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

variable "network" {
  type        = string
  description = "Id of the network in which the instance gets its address; private services access is connected."
  validation {
    condition     = length(var.network) > 0
    error_message = "network is the id of a network."
  }
}

variable "postgresql_version" {
  type        = string
  description = "Version as Cloud SQL names it."
  default     = "POSTGRES_18"
  validation {
    condition     = contains(["POSTGRES_16", "POSTGRES_17", "POSTGRES_18"], var.postgresql_version)
    error_message = "postgresql_version is POSTGRES_16, POSTGRES_17 or POSTGRES_18."
  }
}

variable "tier" {
  type        = string
  description = "Machine of the instance: db-f1-micro, db-g1-small or db-custom-CPUS-MEGABYTES."
  validation {
    condition     = can(regex("^db-(f1-micro|g1-small|custom-[0-9]+-[0-9]+)$", var.tier))
    error_message = "tier is db-f1-micro, db-g1-small or e.g. db-custom-2-8192."
  }
}

variable "highly_available" {
  type        = bool
  description = "Whether a standby in another zone takes over."
  nullable    = false
  validation {
    condition     = contains([true, false], var.highly_available)
    error_message = "highly_available is true or false."
  }
}

variable "disk_gb" {
  type        = number
  description = "Size of the disk at first, GB."
  validation {
    condition     = var.disk_gb >= 10
    error_message = "disk_gb is 10 or more."
  }
}

variable "disk_limit_gb" {
  type        = number
  description = "Size up to which the disk grows by itself, GB."
  validation {
    condition     = var.disk_limit_gb >= 10
    error_message = "disk_limit_gb is 10 or more, and not less than disk_gb."
  }
}

variable "retained_backups" {
  type        = number
  description = "How many daily backups are kept."
  validation {
    condition     = var.retained_backups >= 7 && var.retained_backups <= 365
    error_message = "retained_backups is 7 to 365: the log for recovery covers 7 days and needs their backups."
  }
}

variable "deletion_protection" {
  type        = bool
  description = "Whether terraform destroy is refused."
  nullable    = false
  validation {
    condition     = contains([true, false], var.deletion_protection)
    error_message = "deletion_protection is true or false."
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
