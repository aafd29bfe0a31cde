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
  description = "Id of the network."
  validation {
    condition     = length(var.network) > 0
    error_message = "network is the id of a network."
  }
}

variable "subnetwork" {
  type        = string
  description = "Id of the subnetwork from which PostgreSQL is reached."
  validation {
    condition     = length(var.subnetwork) > 0
    error_message = "subnetwork is the id of a subnetwork."
  }
}

variable "service_account" {
  type        = string
  description = "E-mail of the container's service account."
  validation {
    condition     = strcontains(var.service_account, "@")
    error_message = "service_account is the e-mail of a service account."
  }
}

variable "image" {
  type        = string
  description = "Name of the image with its tag."
  validation {
    condition     = can(regex("^[^ ]+:[^ :]+$", var.image))
    error_message = "image looks like REGION-docker.pkg.dev/PROJECT/REPOSITORY/superset:TAG."
  }
}

variable "secrets" {
  type        = map(string)
  description = "What the container reads -> the secret with it, e.g. superset-key."
  validation {
    condition     = length(setsubtract(["database-url-dashboards", "database-url-superset", "superset-key", "superset-password"], keys(var.secrets))) == 0
    error_message = "secrets names database-url-dashboards, database-url-superset, superset-key and superset-password."
  }
}

variable "postgresql_certificate" {
  type        = string
  description = "The authority that signed PostgreSQL's certificate, PEM."
  validation {
    condition     = length(var.postgresql_certificate) > 0
    error_message = "postgresql_certificate is the text of a PEM file."
  }
}

variable "users" {
  type        = set(string)
  description = "Who may reach Superset, e.g. user:ann@example.com or group:analysts@example.com."
  validation {
    condition     = alltrue([for user in var.users : can(regex("^(user|group|serviceAccount|domain):[^ ]+$", user))])
    error_message = "Each of users looks like user:ann@example.com or group:analysts@example.com."
  }
}

variable "min_instances" {
  type        = number
  description = "1 keeps a container running; with 0 the first page of the day takes a minute."
  validation {
    condition     = contains([0, 1], var.min_instances)
    error_message = "min_instances is 0 or 1."
  }
}
