#!/usr/bin/env bash
# STAND-INS for the images that docker-compose.yml names, for machines whose engine can't pull them: the same names,
# built from Debian's packages and the Go module of Toxiproxy. They are not the official images. PostgreSQL is
# Debian's 15 behind an entrypoint of this folder; Toxiproxy is the real server and its command line, as in its own
# image. An image that the engine already has is left alone; one that it can pull is pulled.
# Needs root, debootstrap, go and an engine that answers.
set -euo pipefail
cd "$(dirname "$0")"

POSTGRES=postgres:18.6
TOXIPROXY=ghcr.io/shopify/toxiproxy:2.12.0
PYTHON=python:3.13-slim
TOXIPROXY_VERSION=v2.12.0
STAND_IN="--change=LABEL dev.coldstart.stand-in=true"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

missing() {
  ! docker image inspect "$1" >/dev/null 2>&1 && ! timeout 20 docker pull --quiet "$1" >/dev/null 2>&1
}

postgres() {
  echo "stand-in for $POSTGRES: PostgreSQL from Debian's packages"
  debootstrap --variant=minbase --include=postgresql-15 bookworm "$work/postgres" >"$work/debootstrap.log" 2>&1 ||
    { tail -3 "$work/debootstrap.log"; exit 1; }
  rm -rf "$work"/postgres/var/cache/apt/archives/*.deb "$work"/postgres/var/lib/postgresql/15 \
    "$work"/postgres/usr/share/{doc,man,locale}
  install -m 755 postgres-entrypoint.sh "$work/postgres/usr/local/bin/docker-entrypoint.sh"
  tar -C "$work/postgres" -c . | docker import "$STAND_IN" \
    --change='ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change='ENTRYPOINT ["docker-entrypoint.sh"]' --change='CMD ["postgres"]' \
    --change='EXPOSE 5432' - "$POSTGRES" >/dev/null
}

toxiproxy() {
  echo "stand-in for $TOXIPROXY: the same server, built here"
  local module=github.com/Shopify/toxiproxy/v2
  GOBIN="$work" CGO_ENABLED=0 go install -trimpath -ldflags "-s -w -X $module.Version=${TOXIPROXY_VERSION#v}" \
    "$module/cmd/server@$TOXIPROXY_VERSION" "$module/cmd/cli@$TOXIPROXY_VERSION"
  mkdir "$work/toxiproxy"
  mv "$work/server" "$work/toxiproxy/toxiproxy"
  mv "$work/cli" "$work/toxiproxy/toxiproxy-cli"
  tar -C "$work/toxiproxy" -c . | docker import "$STAND_IN" --change='ENTRYPOINT ["/toxiproxy"]' \
    --change='CMD ["-host=0.0.0.0"]' --change='EXPOSE 8474' - "$TOXIPROXY" >/dev/null
}

python() {
  echo "stand-in for $PYTHON: Python from Debian's packages"
  debootstrap --variant=minbase --include=python3,python3-pip,python3-venv,ca-certificates bookworm "$work/python" \
    >"$work/debootstrap.log" 2>&1 || { tail -3 "$work/debootstrap.log"; exit 1; }
  rm -rf "$work"/python/var/cache/apt/archives/*.deb "$work"/python/usr/share/{doc,man,locale}
  ln -sf python3 "$work/python/usr/bin/python"
  # What a machine behind a gateway of its own needs to install packages.
  local certificate=()
  if [ -f "${PIP_CERT:-}" ]; then
    install -m 644 "$PIP_CERT" "$work/python/etc/pip-ca.pem"
    certificate=(--change='ENV PIP_CERT=/etc/pip-ca.pem')
  fi
  tar -C "$work/python" -c . | docker import "$STAND_IN" "${certificate[@]}" - "$PYTHON" >/dev/null
}

if missing $POSTGRES; then postgres; fi
if missing $TOXIPROXY; then toxiproxy; fi
if [ "${1:-}" = all ] && missing $PYTHON; then python; fi
