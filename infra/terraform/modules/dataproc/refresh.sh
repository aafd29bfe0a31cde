#!/bin/bash
# Writes settings, PostgreSQL's authority and, on the master, the secrets anew into /etc/bytemeter. Run it on the master
# after a password was changed; jobs that run keep the old one until they start again.
set -euo pipefail

attribute() { /usr/share/google/get_metadata_value "attributes/$1"; }
config="gs://$(attribute bytemeter-code)/config"
cd /etc/bytemeter
gcloud storage cp "$config/settings" "$config/secrets" "$config/postgresql-ca.pem" .
chmod 0644 settings secrets postgresql-ca.pem
[ "$(attribute dataproc-role)" = Master ] || exit 0

umask 077 # Dataproc starts drivers as root
# Each line of secrets names a file of this folder and the secret that it holds.
# shellcheck disable=SC2094
while read -r file secret; do
  if gcloud secrets versions access latest --secret="$secret" >"$file.new"; then
    mv "$file.new" "$file"
  else
    rm -f "$file.new"
    echo "bytemeter: the secret $secret cannot be read or has no version yet; $file is left as it was" >&2
  fi
done <secrets
