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

variable "spark_service_account" {
  type        = string
  description = "E-mail of the service account of the jobs."
  validation {
    condition     = strcontains(var.spark_service_account, "@")
    error_message = "spark_service_account is the e-mail of a service account."
  }
}
