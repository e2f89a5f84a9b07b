#!/usr/bin/env bash
# Makes the secrets of compose.yaml in deploy/secrets, once: what is there stays.
set -euo pipefail
cd "$(dirname "$0")"
# Nobody else gets into the directory; the files themselves are read inside the containers, by users of other numbers.
umask 022
mkdir -p secrets
chmod 700 secrets
make() { # NAME VALUE
  if [ -s "secrets/$1" ]; then echo "secrets/$1 is there already"; return; fi
  printf '%s' "$2" >"secrets/$1"
  echo "secrets/$1 made"
}
random() { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'; }
make postgres_password "$(random)"
make database_url "postgres://hop:$(cat secrets/postgres_password)@postgres:5432/hop"
make admin_key "hop_$(random)"
make grafana_password "$(random)"
