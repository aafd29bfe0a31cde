#!/bin/bash
# Initialization action of a Dataproc cluster, once on each machine: Python's packages as `make dist` has locked them, in
# an environment of their own, /opt/bytemeter/venv. Executors need pyarrow, pandas and numpy; the driver, on the master,
# more. The metadata bytemeter-code names the bucket, or bucket/prefix, with cluster-driver.txt and executor.txt.
set -euo pipefail

attribute() { /usr/share/google/get_metadata_value "attributes/$1"; }
code=$(attribute bytemeter-code)
lock=executor.txt
if [ "$(attribute dataproc-role)" = Master ]; then
  lock=cluster-driver.txt # has all that executors need, too
fi

folder=/opt/bytemeter
mkdir -p "$folder"
if ! gcloud storage cp "gs://$code/$lock" "$folder/$lock"; then
  echo "bytemeter: gs://$code/$lock cannot be read; upload what make dist has written (docs/dataproc.md)" >&2
  exit 1
fi

python=
for candidate in /opt/conda/default/bin/python3 python3.13 python3.12 python3.11 python3; do
  if "$candidate" -c 'import sys, venv; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12), (3, 13)))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "bytemeter: found no Python 3.11, 3.12 or 3.13; choose a Dataproc image that has one, such as 3.0-debian12" >&2
  exit 1
fi
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --require-hashes -r "$folder/$lock"
# Spark's own Python is that of the cluster, also for what does not start by spark-submit, such as bytemeter migrate.
for part in /usr/lib/spark/python /usr/lib/spark/python/lib/py4j-*-src.zip; do
  if [ -e "$part" ]; then
    echo "$part"
  fi
done >"$("$folder/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/spark.pth"
chmod -R a+rX "$folder" # executors run as the user yarn
