#!/usr/bin/env bash
# Builds the image and runs it as production does, on a Docker engine, a Postgres and a Redis of its own; prints what it saw.
#
# deploy/try-image.sh            base images come from a registry
# deploy/try-image.sh --offline  base images are made on this machine (Debian, debootstrap): the layers of hop are the same
#
# Needs root, dockerd, docker, Postgres' server programs and redis-server; npm must be able to reach its registry. Everything
# listens on loopback, lives in one temporary directory and is stopped and deleted at the end, also after a failure.
# DOCKER names the client, where the first one on PATH cannot build (a newer one without buildx).
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/trial.sh

KEY=hop_only-for-this-trial-only-for-this-trial
PORT=18080 ADMIN_PORT=19090 WORK_PORT=19091 POSTGRES_PORT=15432 REDIS_PORT=16379

hop_run() { # NAME COMMAND…: the image as production runs it
  local name=$1; shift
  docker run -d --name "$name" --network host --read-only --tmpfs /tmp --cap-drop ALL \
    --security-opt no-new-privileges --user 10001:10001 --memory 512m -v "$name-data:/data" \
    -e HOP_HOST=127.0.0.1 -e HOP_ADMIN_HOST=127.0.0.1 -e HOP_PORT=$PORT -e HOP_ADMIN_PORT=$ADMIN_PORT \
    -e HOP_WORK_ADMIN_PORT=$WORK_PORT -e HOP_ADMIN_KEY=$KEY \
    -e HOP_DATABASE_URL="postgres://postgres@127.0.0.1:$POSTGRES_PORT/postgres" "${hop_more[@]}" hop "$@" >/dev/null
}
hop_more=()
health_of() { docker inspect -f '{{.State.Health.Status}}' "$1"; }
is_healthy() { [ "$(health_of "$1")" = healthy ]; }
serves() { [ "$(status_of "http://127.0.0.1:$PORT/hello")" = 302 ]; }
is_ready() { [ "$(status_of "http://127.0.0.1:$PORT/readyz")" = 200 ]; }
zombies_of() { # NAME: what is left of a process whose parent ended first
  docker exec "$1" bash -c '(sleep 0.2 &); sleep 1; grep -l "^State:.Z" /proc/[0-9]*/status 2>/dev/null | wc -l'
}
stop_cleanly() { # NAME: SIGTERM, and what came of it
  local started; started=$(milliseconds)
  docker stop -t 20 "$1" >/dev/null
  local code; code=$(docker inspect -f '{{.State.ExitCode}}' "$1")
  say "SIGTERM to $1" "exit code $code after $(($(milliseconds) - started)) ms"
  [ "$code" = 0 ] || fail "$1 did not end in good order"
}

start_engine
[ "${1:-}" != --offline ] || make_bases
build_hop
say "image" "$(($(docker inspect -f '{{.Size}}' hop) / 1000000)) MB, of which $RUN_IMAGE $(($(docker inspect -f '{{.Size}}' $RUN_IMAGE) / 1000000)) MB"
say "runs as" "$(docker inspect -f '{{.Config.User}}' hop)"

binaries=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
install -d -o postgres "$work/pg"
setpriv --reuid=postgres --regid=postgres --clear-groups "$binaries/initdb" -D "$work/pg" -A trust >"$work/initdb.log"
start postgres setpriv --reuid=postgres --regid=postgres --clear-groups "$binaries/postgres" -D "$work/pg" \
  -h 127.0.0.1 -p $POSTGRES_PORT -k "$work/pg"
start redis redis-server --port $REDIS_PORT --bind 127.0.0.1 --dir "$work" --appendonly yes --maxmemory-policy noeviction
until_true "Postgres" 30 setpriv --reuid=postgres --regid=postgres --clear-groups "$binaries/psql" -h 127.0.0.1 -p $POSTGRES_PORT -c 'SELECT 1'
say "Postgres" "$("$binaries/postgres" --version | sed 's/.*) //')"

hop_more=(-e HOP_DATABASE_URL=)
hop_run refused serve
docker wait refused >/dev/null
say "without HOP_DATABASE_URL" "exit code $(docker inspect -f '{{.State.ExitCode}}' refused): $(docker logs refused 2>&1 | tail -n 1)"
docker rm -v refused >/dev/null

hop_more=()
began=$(milliseconds)
hop_run server serve
until_true "hop to be ready" 60 is_ready
say "hop serve is ready after" "$(($(milliseconds) - began)) ms (container and first migration included)"
curl -sf --max-time 5 -X POST "http://127.0.0.1:$PORT/api/v1/links" -H "Authorization: Bearer $KEY" \
  -H 'Content-Type: application/json' -d '{"url": "https://example.com/", "code": "hello"}' >/dev/null
until_true "a redirect" 5 serves
say "GET /hello" "$(curl -s -o /dev/null -w '%{http_code} to %{redirect_url}' --max-time 5 "http://127.0.0.1:$PORT/hello")"
until_true "the server to be healthy" 60 is_healthy server
say "HEALTHCHECK of serve" "$(health_of server)"
say "written to the root file system" "$(docker exec server touch /app/x 2>&1 | sed 's/.*: //' || true)"
say "process 1" "$(docker exec server cat /proc/1/cmdline | tr '\0' ' ')"
say "orphans that stay as zombies" "$(zombies_of server) of 1"
say "memory of serve" "$(docker stats --no-stream --format '{{.MemUsage}}' server)"
# Redirects go on while it stops: each one that was answered must be in the ledger.
(while serves; do echo; done | wc -l >"$work/answered") & requests=$!
sleep 1
stop_cleanly server
wait "$requests"
docker rm server >/dev/null

hop_more=(-e HOP_REDIS_URL="redis://127.0.0.1:$REDIS_PORT")
hop_run server serve
until_true "hop to be ready" 60 is_ready
hop_run worker work
until_true "the worker to be healthy" 60 is_healthy worker
say "HEALTHCHECK of work" "$(health_of worker)"
for _ in $(seq 100); do serves || fail "a redirect failed"; done
stop_cleanly server
stop_cleanly worker
docker rm server >/dev/null
hop_run ledger ledger
docker wait ledger >/dev/null
say "answered, while it stopped and after" "$(($(cat "$work/answered") + 102)) redirects"
say "hop ledger" "exit code $(docker inspect -f '{{.State.ExitCode}}' ledger): $(docker logs ledger | head -n 1)"
say "clicks stored" "$(docker logs ledger | grep -m1 -i 'confirmed batches' | grep -oE '[0-9,]+$')"

# Without a handler process 1 ignores SIGTERM: --init must make no difference.
hop_more=(--init)
hop_run with-init serve
until_true "hop to be ready" 60 is_ready
say "orphans that stay, with --init" "$(zombies_of with-init) of 1"
stop_cleanly with-init
