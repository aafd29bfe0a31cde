#!/bin/bash
# Once after `terraform apply`, and after passwords were changed: prepare.sh ENVIRONMENT (small or production).
# Gives the managed Kafka's login a key and Superset its key and password, if they have none, and lets the cluster's master
# migrate and make the logins.
# Secrets go from Secret Manager by pipes: none is in an argument, and none stays in a file.
set -euo pipefail

if [ $# -ne 1 ] || [ ! -d "$(dirname "$0")/environments/$1" ]; then
  echo "usage: $0 small | production" >&2
  exit 2
fi
outputs=$(terraform -chdir="$(dirname "$0")/environments/$1" output -json)
value() { python3 -c 'import functools, json, sys
path = sys.argv[1].split(".")
print(functools.reduce(lambda part, key: part[key], [path[0], "value", *path[1:]], json.load(sys.stdin)) or "")' "$1" <<<"$outputs"; }

project=$(value cluster.project)
secret() { gcloud secrets versions access latest --project="$project" --secret="$(value "secrets.$1")"; }

# A secret that anything long will do for, made once.
random() {
  local name
  name=$(value "secrets.$1")
  if [ -z "$(gcloud secrets versions list "$name" --project="$project" --filter=state=ENABLED --format='value(name)')" ]; then
    python3 -c 'import secrets; print(secrets.token_urlsafe(42), end="")' |
      gcloud secrets versions add "$name" --project="$project" --data-file=-
  fi
}
random superset-key
random superset-password

login=$(value kafka_login)
if [ -n "$login" ]; then
  name=$(value secrets.kafka-password)
  if [ -z "$(gcloud secrets versions list "$name" --project="$project" --filter=state=ENABLED --format='value(name)')" ]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    gcloud iam service-accounts keys create "$folder/key" --project="$project" --iam-account="$login"
    base64 <"$folder/key" | tr -d '\n' | gcloud secrets versions add "$name" --project="$project" --data-file=-
    rm -rf "$folder"
  fi
fi

{
  for login in owner jobs dashboards superset; do
    secret "database-url-$login"
    echo
  done
} | python3 -c 'import json, sys
print(json.dumps(dict(zip(("owner", "jobs", "dashboards", "superset"), sys.stdin.read().split(), strict=True))))' |
  gcloud compute ssh "$(value cluster.master)" --project="$project" --zone="$(value cluster.zone)" \
    --tunnel-through-iap --command='sudo /usr/local/sbin/bytemeter-prepare'
