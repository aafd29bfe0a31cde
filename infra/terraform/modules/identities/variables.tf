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

variable "kafka_on_vm" {
  type        = bool
  description = "Whether Kafka runs on a machine of its own; otherwise it is the managed service."
  nullable    = false
  validation {
    condition     = contains([true, false], var.kafka_on_vm)
    error_message = "kafka_on_vm is true or false."
  }
}

variable "serverless" {
  type        = bool
  description = "Whether recomputes are serverless batches; otherwise they run on the cluster."
  nullable    = false
  validation {
    condition     = contains([true, false], var.serverless)
    error_message = "serverless is true or false."
  }
}
