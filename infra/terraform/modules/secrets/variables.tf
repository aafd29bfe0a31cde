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

variable "kafka_on_vm" {
  type        = bool
  description = "Whether Kafka runs on a machine of its own, which asks for no password."
  nullable    = false
  validation {
    condition     = contains([true, false], var.kafka_on_vm)
    error_message = "kafka_on_vm is true or false."
  }
}

variable "spark_service_account" {
  type        = string
  description = "E-mail of the service account of Spark's machines."
  validation {
    condition     = strcontains(var.spark_service_account, "@")
    error_message = "spark_service_account is the e-mail of a service account."
  }
}

variable "database_host" {
  type        = string
  description = "Private address of PostgreSQL."
  validation {
    condition     = length(var.database_host) > 0
    error_message = "database_host is an address."
  }
}

variable "database_name" {
  type        = string
  description = "Name of the database."
  validation {
    condition     = can(regex("^[a-z_]+$", var.database_name))
    error_message = "database_name has lowercase letters and underscores."
  }
}

variable "superset_service_account" {
  type        = string
  description = "E-mail of the service account of Superset's container."
  validation {
    condition     = strcontains(var.superset_service_account, "@")
    error_message = "superset_service_account is the e-mail of a service account."
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
