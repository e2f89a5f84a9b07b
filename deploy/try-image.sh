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

BUILD_IMAGE=node:24-bookworm-slim
RUN_IMAGE=debian:bookworm-slim
STEP_SECONDS=600 # the longest that one step may take
KEY=hop_only-for-this-trial-only-for-this-trial
PORT=18080 ADMIN_PORT=19090 WORK_PORT=19091 POSTGRES_PORT=15432 REDIS_PORT=16379

work=$(mktemp -d /tmp/hop-image-XXXXXX)
chmod 711 "$work"
export DOCKER_HOST="unix://$work/docker.sock" DOCKER_BUILDKIT=1
pids=()

docker() { command "${DOCKER:-docker}" "$@"; }
clean_up() {
  local code=$? pid
  trap - EXIT
  [ "$code" = 0 ] || { echo "try-image: failed" >&2; tail -n 20 "$work"/*.log >&2 || true; }
  for name in $(docker ps -a --format '{{.Names}}' 2>/dev/null || true); do
    [ "$code" = 0 ] || { echo "==> container $name <==" >&2; docker logs --tail 20 "$name" >&2 || true; }
    docker rm -f "$name" >/dev/null 2>&1 || true
  done
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  grep -o " $work[^ ]*" /proc/mounts | sort -r | xargs -r umount -l 2>/dev/null || true
  rm -rf "$work"
  exit "$code"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

say() { printf '%-34s %s\n' "$1" "$2"; }
fail() { echo "try-image: $*" >&2; exit 1; }
# until_true WHAT SECONDS COMMAND…
until_true() {
  local what=$1 end=$((SECONDS + $2)); shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || fail "waited in vain for $what"
    sleep 0.1
  done
}
start() { local name=$1; shift; "$@" >"$work/$name.log" 2>&1 & pids+=("$!"); }
milliseconds() { echo $(($(date +%s%N) / 1000000)); }
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
status_of() { curl -s -o /dev/null -w '%{http_code}' --max-time 5 "$1"; }
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

make_bases() { # a Debian, and the same with this machine's node and npm in it
  local root="$work/base"
  timeout "$STEP_SECONDS" debootstrap --variant=minbase --include=ca-certificates bookworm "$root" >"$work/bootstrap.log" 2>&1
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/*
  tar -C "$root" -c . | docker import - "$RUN_IMAGE" >/dev/null
  cp -L "$(command -v node)" "$root/usr/bin/node"
  mkdir -p "$root/usr/lib/node_modules"
  cp -r "$(npm root -g)/npm" "$root/usr/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/bin/npm"
  # Only what builds needs to trust this machine's registry; the image that runs is not made of this.
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
  cp -L /usr/lib/x86_64-linux-gnu/libstdc++.so.6 /lib/x86_64-linux-gnu/libgcc_s.so.1 "$root/usr/lib/x86_64-linux-gnu/"
  tar -C "$root" -c . | docker import - "$BUILD_IMAGE" >/dev/null
  rm -rf "$root"
}

start dockerd dockerd --data-root "$work/docker" --exec-root "$work/exec" --pidfile "$work/docker.pid" \
  --host "$DOCKER_HOST" --iptables=false --ip6tables=false --bridge=none
until_true "the Docker engine" 60 docker info
[ "${1:-}" != --offline ] || make_bases

npmrc="$work/npmrc"
cat "$HOME/.npmrc" >"$npmrc" 2>/dev/null || :
echo "cafile=/etc/ssl/certs/ca-certificates.crt" >>"$npmrc"
timeout "$STEP_SECONDS" "${DOCKER:-docker}" build --network host --secret "id=npmrc,src=$npmrc" -f deploy/Dockerfile -t hop . >"$work/build.log" 2>&1
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
