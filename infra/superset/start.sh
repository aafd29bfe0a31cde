#!/bin/bash
# Starts Superset in a container: its tables and roles are brought to this version, the administrator gets the password of
# the secret, the dashboards are imported. Secrets are files of BYTEMETER_SUPERSET_SECRETS: NAME/value.
set -euo pipefail
umask 077

code=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
secrets=$BYTEMETER_SUPERSET_SECRETS
export BYTEMETER_SUPERSET_HOME=${BYTEMETER_SUPERSET_HOME:-/tmp/superset}
export SUPERSET_HOME=$BYTEMETER_SUPERSET_HOME SUPERSET_CONFIG_PATH=$code/container_config.py
export FLASK_APP='superset.app:create_app()' TZ=UTC
mkdir -p "$SUPERSET_HOME"
cp "$secrets/superset-key/value" "$SUPERSET_HOME/secret_key"
# All containers have the same one, and a new password ends all sessions.
sha256sum <"$secrets/superset-password/value" | cut -d ' ' -f 1 >"$SUPERSET_HOME/session_key"
if [ -n "${BYTEMETER_POSTGRESQL_CA:-}" ]; then
  printf '%s\n' "$BYTEMETER_POSTGRESQL_CA" >"$SUPERSET_HOME/postgresql-ca.pem"
  export PGSSLROOTCERT=$SUPERSET_HOME/postgresql-ca.pem
fi

superset db upgrade
superset init
{
  echo admin
  cat "$secrets/superset-password/value"
} | python "$code/administrator.py"
python "$code/import_assets.py" <"$secrets/database-url-dashboards/value"
exec gunicorn --workers 2 --worker-class gthread --threads 8 --timeout 120 --log-level warning \
  --limit-request-line 0 --limit-request-field_size 0 --bind "0.0.0.0:${PORT:-8088}" 'superset.app:create_app()'
