#!/usr/bin/env bash
# Runs compose.yaml whole, rolls out a new version under load, backs the fleet up, throws it away and restores it; prints what it saw.
#
# deploy/try-fleet.sh            all images come from registries
# deploy/try-fleet.sh --offline  they are made on this machine: Postgres, Valkey, nginx and Prometheus are Debian's, Grafana is left out
#
# Needs what trial.sh says, and Compose 2. Uses the ports of compose.yaml on this machine; its containers, networks and volumes
# are deleted at the end, also after a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/trial.sh

SUITE=forky # Debian's next has Postgres 18 and Prometheus 3.5
URL=http://127.0.0.1:8080
SERVICES=(proxy server-1 server-2 worker-1 worker-2 postgres redis prometheus grafana)

# A copy, so that secrets of the trial are not those of a fleet that runs from here.
cp -r deploy "$work/deploy"
rm -rf "$work/deploy/secrets"
compose() { docker compose -f "$work/deploy/compose.yaml" "$@"; }
admin_key() { cat "$work/deploy/secrets/admin_key"; }

derive() { # IMAGE INSTRUCTION…
  local image=$1; shift
  printf '%s\n' "FROM stand-in" "$@" | docker build --quiet --tag "$image" - >/dev/null
}
make_stand_ins() { # one Debian with all programs, and the names, users and volumes of the images that compose.yaml means
  local root="$work/stand-ins" mirror package
  mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
  timeout "$STEP_SECONDS" debootstrap --variant=minbase "$SUITE" "$root" "$mirror" /usr/share/debootstrap/scripts/sid >"$work/bootstrap.log" 2>&1
  # Unpacked and not set up: their scripts want a running system, and the programs do not need them.
  DEBIAN_FRONTEND=noninteractive timeout "$STEP_SECONDS" chroot "$root" apt-get install -y --no-install-recommends --download-only \
    postgresql-18 valkey-server valkey-tools nginx-light prometheus >"$work/packages.log" 2>&1
  for package in "$root"/var/cache/apt/archives/*.deb; do dpkg-deb -x "$package" "$root"; done
  chroot "$root" ldconfig
  chroot "$root" useradd --system postgres
  local versions
  versions=$(for name in postgresql-18 valkey-server nginx prometheus; do
    ls "$root/var/cache/apt/archives" | sed -n "s/^${name}_\\([^_]*\\)_.*/$name \\1,/p" | sed 's/%3a/:/'
  done | tr '\n' ' ')
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  ln -s ../lib/postgresql/18/bin/{initdb,postgres} "$root/usr/bin/"
  cat >"$root/start-postgres" <<'SCRIPT'
#!/bin/sh
set -e
data=/var/lib/postgresql/18/docker
mkdir -p /var/run/postgresql
chown postgres /var/lib/postgresql /var/run/postgresql
as() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
if [ ! -s "$data/PG_VERSION" ]; then
  cat "$POSTGRES_PASSWORD_FILE" >/tmp/password && chown postgres /tmp/password
  as initdb -D "$data" -U "$POSTGRES_USER" --pwfile=/tmp/password -A trust -E UTF8 --locale=C
  rm /tmp/password
  echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
  echo "CREATE DATABASE $POSTGRES_DB" | as postgres --single -D "$data" postgres >/dev/null
fi
exec setpriv --reuid=postgres --regid=postgres --clear-groups postgres -D "$data" -h '*'
SCRIPT
  chmod 755 "$root/start-postgres"
  mkdir -p "$root/data" "$root/prometheus"
  chroot "$root" chown nobody /prometheus
  import_image "$root" stand-in
  derive postgres:18 'ENTRYPOINT ["/start-postgres"]' 'VOLUME /var/lib/postgresql' 'STOPSIGNAL SIGINT'
  derive valkey/valkey:8 'WORKDIR /data' 'VOLUME /data'
  derive nginx:1.28 'STOPSIGNAL SIGQUIT'
  derive prom/prometheus:v3.5.0 'USER nobody' 'ENTRYPOINT ["/usr/bin/prometheus"]' 'VOLUME /prometheus'
  say "stand-ins" "${versions}no Grafana"
  rm -rf "$root"
  unset 'SERVICES[-1]'
}

up() { compose up --no-build --detach --wait --wait-timeout 120 "${SERVICES[@]}" >>"$work/compose.log" 2>&1; }
follows() { [ "$(status_of "$URL/hello")" = 302 ]; }
# What `field NAME` reads from; fails unless it balances.
ledger() { compose exec -T worker-1 hop ledger --json >"$work/ledger.json"; }
field() { grep -oE "\"$1\": *\"?[a-z0-9]+" "$work/ledger.json" | head -n 1 | grep -oE '[a-z0-9]+$'; }
targets_up() { curl -sg --max-time 5 'http://127.0.0.1:9090/api/v1/query?query=sum(up)' | grep -oE '"[0-9]+"\]' | tr -dc 0-9; }
all_scraped() { [ "$(targets_up)" = 5 ]; }
# Answers of four clients, a new connection for every 50 requests, until there is a file "enough".
load() {
  local client
  for client in 1 2 3 4; do
    # Not longer than the trial, however it ends.
    while [ -d "$work" ] && [ ! -e "$work/enough" ]; do
      curl -s -o /dev/null -w '%{http_code}\n' --max-time 20 "$URL/hello?[1-50]" || true
    done >"$work/answers-$client" &
  done
  wait
}

start_engine
if [ "${1:-}" = --offline ]; then make_bases; make_stand_ins; else compose pull --ignore-buildable >"$work/pull.log" 2>&1; fi
build_hop
"$work/deploy/make-secrets.sh" >/dev/null

began=$(milliseconds)
up
say "up, and all healthy after" "$(($(milliseconds) - began)) ms"
curl -sf --max-time 5 -X POST "$URL/api/v1/links" -H "Authorization: Bearer $(admin_key)" \
  -H 'Content-Type: application/json' -d '{"url": "https://example.com/", "code": "hello"}' >/dev/null
until_true "a redirect" 5 follows
say "GET /hello by the proxy" "$(curl -s -o /dev/null -w '%{http_code} to %{redirect_url}' --max-time 5 "$URL/hello")"
say "GET /readyz by the proxy" "$(status_of "$URL/readyz")"
until_true "Prometheus to scrape everything" 60 all_scraped
say "Prometheus scrapes" "$(targets_up) targets, $(curl -s --max-time 5 http://127.0.0.1:9090/api/v1/rules | grep -oE '"type":"alerting"' | wc -l) alert rules"

printf 'FROM hop\nLABEL version=next\n' | docker build -t hop - >>"$work/build.log" 2>&1
load & clients=$!
for service in server-1 server-2 worker-1 worker-2; do
  began=$(milliseconds)
  compose up --no-build --detach --no-deps --wait --wait-timeout 120 "$service" >>"$work/compose.log" 2>&1
  say "$service replaced after" "$(($(milliseconds) - began)) ms, version=$(docker inspect -f '{{.Config.Labels.version}}' "hop-$service-1")"
done
touch "$work/enough"
wait "$clients"
say "answers meanwhile" "$(cat "$work"/answers-* | sort | uniq -c | sed 's/^ *//' | tr '\n' ' ')"
[ "$(cat "$work"/answers-* | sort -u)" = 302 ] || fail "a redirect failed while the new version was rolled out"

# As docs/operations.md has it. The key stands for what is in the stream, which workers have emptied by now.
compose exec -T redis valkey-cli SET marker restored >/dev/null
for each in server-1 server-2; do compose cp "$each:/data" "$work/backup-$each" >>"$work/compose.log" 2>&1; done
compose exec -T redis valkey-cli --rdb - >"$work/hop.rdb" 2>>"$work/compose.log"
compose exec -T postgres pg_dump -U hop -Fc hop >"$work/hop.dump"
say "backup" "hop.rdb $(stat -c %s "$work/hop.rdb") bytes, hop.dump $(stat -c %s "$work/hop.dump") bytes"
compose down --timeout 60 --volumes >>"$work/compose.log" 2>&1

restore() {
  compose create server-1 server-2 redis
  for each in server-1 server-2; do compose cp "$work/backup-$each/." "$each:/data"; done
  compose cp "$work/hop.rdb" redis:/data/dump.rdb
  compose run --detach --name restore redis valkey-server --appendonly no
  until_true "Valkey to load its snapshot" 30 docker exec restore valkey-cli GET marker
  docker exec restore valkey-cli CONFIG SET appendonly yes
  until_true "Valkey to write its log" 30 sh -c "${DOCKER:-docker} exec restore valkey-cli INFO persistence | grep -q aof_rewrite_in_progress:0"
  docker stop restore && docker rm restore
  compose up --detach --wait postgres
  compose exec -T postgres pg_restore --exit-on-error --no-owner -U hop -d hop <"$work/hop.dump"
}
restore >>"$work/compose.log" 2>&1
up
until_true "a redirect after the restore" 5 follows
say "what Redis has again" "marker $(compose exec -T redis valkey-cli GET marker)"
# The first two redirects, those of the load, and the one after.
answered=$(($(cat "$work"/answers-* | wc -l) + 3))
stored_all() { ledger && [ "$(field storedClicks)" = "$answered" ]; }
until_true "$answered clicks to be stored, and a balanced ledger" 60 stored_all
say "after everything was lost and restored" "answered $answered, stored $(field storedClicks), ledger $(field verdict)"
compose down --timeout 60 --volumes >>"$work/compose.log" 2>&1
