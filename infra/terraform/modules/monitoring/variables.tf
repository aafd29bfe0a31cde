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

variable "project_number" {
  type        = string
  description = "Number of the project, by which budgets know it."
  validation {
    condition     = can(regex("^[0-9]+$", var.project_number))
    error_message = "project_number has digits only."
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

variable "workflow" {
  type        = string
  description = "Name of the workflow that starts scheduled runs."
  validation {
    condition     = length(var.workflow) > 0
    error_message = "workflow is the name of a workflow."
  }
}

variable "database_instance" {
  type        = string
  description = "Name of the Cloud SQL instance."
  validation {
    condition     = length(var.database_instance) > 0
    error_message = "database_instance is the name of an instance."
  }
}

variable "jobs_enabled" {
  type        = bool
  description = "Whether the streaming job should run, so that its absence is an alert."
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
