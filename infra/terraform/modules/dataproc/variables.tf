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

variable "zone" {
  type        = string
  description = "Zone of the machines, e.g. europe-west1-b."
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+-[a-z]$", var.zone)) && startswith(var.zone, var.region)
    error_message = "zone is a zone of the region, e.g. europe-west1-b."
  }
}

variable "subnetwork" {
  type        = string
  description = "Id of the subnetwork."
  validation {
    condition     = length(var.subnetwork) > 0
    error_message = "subnetwork is the id of a subnetwork."
  }
}

variable "service_account" {
  type        = string
  description = "E-mail of the service account of the machines."
  validation {
    condition     = strcontains(var.service_account, "@")
    error_message = "service_account is the e-mail of a service account."
  }
}

variable "code_bucket" {
  type        = string
  description = "Name of the bucket with what make dist has written."
  validation {
    condition     = length(var.code_bucket) >= 3
    error_message = "code_bucket is the name of a bucket, without gs://."
  }
}

variable "staging_bucket" {
  type        = string
  description = "Name of the bucket for Dataproc's own files."
  validation {
    condition     = length(var.staging_bucket) >= 3
    error_message = "staging_bucket is the name of a bucket, without gs://."
  }
}

variable "history" {
  type        = string
  description = "BYTEMETER_HISTORY, gs://bucket/prefix."
  validation {
    condition     = startswith(var.history, "gs://")
    error_message = "history looks like gs://bucket/prefix."
  }
}

variable "kafka" {
  type        = string
  description = "BYTEMETER_KAFKA, HOST:PORT."
  validation {
    condition     = can(regex("^[^: ]+:[0-9]+$", var.kafka))
    error_message = "kafka looks like broker:9092."
  }
}

variable "kafka_login" {
  type        = string
  description = "User name of SASL/PLAIN over TLS at Kafka; null for a broker that asks for none."
  default     = null
  validation {
    condition     = var.kafka_login == null || strcontains(coalesce(var.kafka_login, "@"), "@")
    error_message = "kafka_login is the e-mail of a service account, or null."
  }
}

variable "secrets" {
  type        = map(string)
  description = "File in /etc/bytemeter of the master -> the secret with its content."
  validation {
    condition     = contains(keys(var.secrets), "database-url")
    error_message = "secrets names the secret of the file database-url."
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

variable "partitions" {
  type        = number
  description = "BYTEMETER_PARTITIONS: partitions of topics that bytemeter migrate makes."
  validation {
    condition     = var.partitions >= 1 && var.partitions <= 1000
    error_message = "partitions is 1 to 1000."
  }
}

variable "jars" {
  type        = list(string)
  description = "Maven coordinates of the connectors, for the Spark of the image: dist/jars-4.1.txt."
  default = [
    "org.apache.spark:spark-sql-kafka-0-10_2.13:4.1.1",
    "io.delta:delta-spark_4.1_2.13:4.3.0",
    "org.postgresql:postgresql:42.7.7",
  ]
  validation {
    condition     = alltrue([for jar in var.jars : length(split(":", jar)) == 3])
    error_message = "Each of jars looks like group:artifact:version."
  }
}

variable "batch_jars" {
  type        = list(string)
  description = "Maven coordinates of the connectors, for the Spark of serverless runtime 3.0: dist/jars-4.0.txt."
  default = [
    "org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0",
    "io.delta:delta-spark_2.13:4.0.1",
    "org.postgresql:postgresql:42.7.7",
  ]
  validation {
    condition     = alltrue([for jar in var.batch_jars : length(split(":", jar)) == 3])
    error_message = "Each of batch_jars looks like group:artifact:version."
  }
}

variable "image_version" {
  type        = string
  description = "Image of Dataproc; 3.0 has Spark 4.1 from 3.0.3 on."
  default     = "3.0-debian12"
  validation {
    condition     = can(regex("^3\\.0[.-]", var.image_version))
    error_message = "image_version is 3.0-debian12 or another 3.0; Bytemeter does not support the Spark 4.2 of image 4.0."
  }
}

variable "master_machine_type" {
  type        = string
  description = "Type of the master, on which drivers run."
  validation {
    condition     = can(regex("^[a-z0-9]+-[a-z0-9-]+$", var.master_machine_type))
    error_message = "master_machine_type is the name of a type, e.g. e2-standard-4."
  }
}

variable "worker_machine_type" {
  type        = string
  description = "Type of the workers; not used when there are none."
  validation {
    condition     = can(regex("^[a-z0-9]+-[a-z0-9-]+$", var.worker_machine_type))
    error_message = "worker_machine_type is the name of a type, e.g. n2-standard-4."
  }
}

variable "workers" {
  type        = number
  description = "Workers that are always there; 0 makes a cluster of the master alone."
  validation {
    condition     = var.workers == 0 || var.workers >= 2
    error_message = "Dataproc takes 0 workers, or 2 and more."
  }
}

variable "max_secondary_workers" {
  type        = number
  description = "Workers that are added at most while recomputes wait for room."
  validation {
    condition     = var.max_secondary_workers >= 0
    error_message = "max_secondary_workers is 0 or more."
  }
}

variable "boot_disk_gb" {
  type        = number
  description = "Disk of each machine, GB; shuffles and the state of streaming queries go there."
  validation {
    condition     = var.boot_disk_gb >= 30
    error_message = "boot_disk_gb is 30 or more."
  }
}

variable "driver_memory" {
  type        = string
  description = "Heap of the driver of the streaming job."
  validation {
    condition     = can(regex("^[0-9]+g$", var.driver_memory))
    error_message = "driver_memory looks like 4g."
  }
}

variable "jobs_enabled" {
  type        = bool
  description = "Whether the streaming job runs; false until the database is prepared."
  nullable    = false
  validation {
    condition     = contains([true, false], var.jobs_enabled)
    error_message = "jobs_enabled is true or false."
  }
}
