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

variable "nearline_after_days" {
  type        = number
  description = "Days after which data files of the history move to Nearline, which costs less to keep and more to read."
  validation {
    condition     = var.nearline_after_days >= 62
    error_message = "Recomputes of the last two months read these files: nearline_after_days is 62 or more."
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
