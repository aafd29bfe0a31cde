terraform {
  required_version = "~> 1.11"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.45.0"
    }
  }
  # State on this machine. For more than one person: a bucket, by a file backend.tf that is not committed (docs/cloud.md).
}

provider "google" {
  project               = var.project_id
  region                = var.region
  billing_project       = var.project_id
  user_project_override = true # budgets ask whose quota it is
}
