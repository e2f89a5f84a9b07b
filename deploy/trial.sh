# What the trials of this folder share: a Docker engine of their own in one temporary directory, which is stopped and deleted at the
# end, also after a failure. Sourced from the repository's root.
#
# Needs root, dockerd and docker; npm must be able to reach its registry. DOCKER names the client, where the first one on PATH
# cannot build (a newer one without buildx). Offline, base images are made by debootstrap: the layers of hop are the same.

BUILD_IMAGE=node:24-bookworm-slim
RUN_IMAGE=debian:bookworm-slim
STEP_SECONDS=600 # the longest that one step may take

trial=$(basename "$0" .sh)
work=$(mktemp -d "/tmp/hop-$trial-XXXXXX")
chmod 711 "$work"
export DOCKER_HOST="unix://$work/docker.sock" DOCKER_BUILDKIT=1
pids=()

docker() { command "${DOCKER:-docker}" "$@"; }
clean_up() {
  local code=$? pid
  trap - EXIT
  [ "$code" = 0 ] || { echo "$trial: failed" >&2; tail -n 20 "$work"/*.log >&2 || true; }
  for name in $(docker ps -a --format '{{.Names}}' 2>/dev/null || true); do
    [ "$code" = 0 ] || { echo "==> container $name <==" >&2; docker logs --tail 20 "$name" >&2 || true; }
    docker rm -f "$name" >/dev/null 2>&1 || true
  done
  # A bridge would outlive its engine.
  docker network prune -f >/dev/null 2>&1 || true
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  grep -o " $work[^ ]*" /proc/mounts | sort -r | xargs -r umount -l 2>/dev/null || true
  rm -rf "$work"
  exit "$code"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

say() { printf '%-38s %s\n' "$1" "$2"; }
fail() { echo "$trial: $*" >&2; exit 1; }
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
status_of() { curl -s -o /dev/null -w '%{http_code}' --max-time 5 "$1"; }
import_image() { # DIRECTORY IMAGE
  tar -C "$1" -c . | docker import - "$2" >/dev/null
}

# The machine's firewall and routes stay as they are.
start_engine() {
  start dockerd dockerd --data-root "$work/docker" --exec-root "$work/exec" --pidfile "$work/docker.pid" \
    --host "$DOCKER_HOST" --iptables=false --ip6tables=false --ip-forward=false --bridge=none
  until_true "the Docker engine" 60 docker info
}

make_bases() { # a Debian, and the same with this machine's node and npm in it
  local root="$work/base"
  timeout "$STEP_SECONDS" debootstrap --variant=minbase --include=ca-certificates bookworm "$root" >"$work/bootstrap.log" 2>&1
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/*
  import_image "$root" "$RUN_IMAGE"
  cp -L "$(command -v node)" "$root/usr/bin/node"
  mkdir -p "$root/usr/lib/node_modules"
  cp -r "$(npm root -g)/npm" "$root/usr/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/bin/npm"
  # Only what builds needs to trust this machine's registry; the image that runs is not made of this.
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
  cp -L /usr/lib/x86_64-linux-gnu/libstdc++.so.6 /lib/x86_64-linux-gnu/libgcc_s.so.1 "$root/usr/lib/x86_64-linux-gnu/"
  import_image "$root" "$BUILD_IMAGE"
  rm -rf "$root"
}

build_hop() {
  local npmrc="$work/npmrc"
  cat "$HOME/.npmrc" >"$npmrc" 2>/dev/null || :
  echo "cafile=/etc/ssl/certs/ca-certificates.crt" >>"$npmrc"
  timeout "$STEP_SECONDS" "${DOCKER:-docker}" build --network host --secret "id=npmrc,src=$npmrc" -f deploy/Dockerfile -t hop . >"$work/build.log" 2>&1
}
