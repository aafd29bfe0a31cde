variable "project_id" {
  type        = string
  description = "The project in which everything is made; it exists and has a billing account."
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id has 6 to 30 lowercase letters, digits and hyphens, e.g. usage-trial-1."
  }
}

variable "services" {
  type        = set(string)
  description = "Names of the APIs, such as compute.googleapis.com."
  validation {
    condition     = alltrue([for name in var.services : endswith(name, ".googleapis.com")])
    error_message = "The name of an API ends in .googleapis.com."
  }
}
