#!/bin/bash
# Initialization action, once on each machine of the cluster: Python's packages as locked, then settings and secrets.
set -euo pipefail

attribute() { /usr/share/google/get_metadata_value "attributes/$1"; }
bucket=$(attribute bytemeter-code)
lock=executor.txt
if [ "$(attribute dataproc-role)" = Master ]; then
  lock=driver.txt # has all that executors need, too
fi

mkdir -p /opt/bytemeter/code /etc/bytemeter
if ! gcloud storage cp "gs://$bucket/*.txt" "gs://$bucket/*.whl" /opt/bytemeter/code/; then
  echo "bytemeter: gs://$bucket lacks the locks or the wheel; make them (docs/cloud.md), then terraform apply" >&2
  exit 1
fi

python=
for candidate in /opt/conda/default/bin/python3 python3.11 python3.12 python3; do
  if "$candidate" -c 'import sys, venv; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "bytemeter: found no Python 3.11 or 3.12; choose a Dataproc image that has one, such as 3.0-debian12" >&2
  exit 1
fi
"$python" -m venv /opt/bytemeter/venv
/opt/bytemeter/venv/bin/pip install --quiet --require-hashes -r "/opt/bytemeter/code/$lock"
if [ "$lock" = driver.txt ]; then
  /opt/bytemeter/venv/bin/pip install --quiet --no-deps /opt/bytemeter/code/bytemeter-*.whl
fi
chmod -R a+rX /opt/bytemeter # executors run as the user yarn

gcloud storage cp "gs://$bucket/config/refresh.sh" /usr/local/sbin/bytemeter-refresh
gcloud storage cp "gs://$bucket/config/prepare.py" /usr/local/sbin/bytemeter-prepare
chmod 0755 /usr/local/sbin/bytemeter-refresh /usr/local/sbin/bytemeter-prepare
/usr/local/sbin/bytemeter-refresh
