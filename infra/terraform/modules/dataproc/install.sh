#!/bin/bash
# Initialization action after packages.sh, once on each machine: the command bytemeter on the master, then settings and
# secrets.
set -euo pipefail

attribute() { /usr/share/google/get_metadata_value "attributes/$1"; }
bucket=$(attribute bytemeter-code)
mkdir -p /etc/bytemeter

if [ "$(attribute dataproc-role)" = Master ]; then
  if ! gcloud storage cp "gs://$bucket/bytemeter-*.whl" /opt/bytemeter/; then
    echo "bytemeter: gs://$bucket lacks the wheel; make it (docs/cloud.md), then terraform apply" >&2
    exit 1
  fi
  /opt/bytemeter/venv/bin/pip install --quiet --no-deps /opt/bytemeter/bytemeter-*.whl
  chmod -R a+rX /opt/bytemeter
fi

gcloud storage cp "gs://$bucket/config/refresh.sh" /usr/local/sbin/bytemeter-refresh
gcloud storage cp "gs://$bucket/config/prepare.py" /usr/local/sbin/bytemeter-prepare
chmod 0755 /usr/local/sbin/bytemeter-refresh /usr/local/sbin/bytemeter-prepare
/usr/local/sbin/bytemeter-refresh
