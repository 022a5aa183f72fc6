#!/bin/bash
# The part of the official image's entrypoint that docker-compose.yml relies on: initdb by POSTGRES_* variables, then
# the server, never as root.
set -euo pipefail
if [ "$(id -u)" = 0 ]; then
  mkdir -p /var/lib/postgresql /var/run/postgresql
  chown postgres:postgres /var/lib/postgresql /var/run/postgresql
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
export PGDATA=${PGDATA:-/var/lib/postgresql/data}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  # shellcheck disable=SC2086 - several arguments, as the official image takes them
  initdb --username="${POSTGRES_USER:-postgres}" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --encoding=UTF8 \
    --no-locale --no-sync --no-instructions ${POSTGRES_INITDB_ARGS:-} >/dev/null
  database=${POSTGRES_DB:-${POSTGRES_USER:-postgres}}
  if [ "$database" != postgres ]; then
    echo "CREATE DATABASE \"$database\"" | postgres --single -D "$PGDATA" postgres >/dev/null
  fi
  echo "host all all all ${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"
fi
exec "$@" -c listen_addresses='*'
