#!/bin/sh
# Run a command with a Docker engine that answers: the one there is, or one started for the time of the command (root).
set -eu
PATH="$PATH:/usr/sbin:/sbin"
if docker info >/dev/null 2>&1; then exec "$@"; fi
if [ "$(id -u)" != 0 ]; then
    echo "with-engine.sh: no Docker engine answers, and only root can start one; its tests will say so." >&2
    exec "$@"
fi
log=$(mktemp)
dockerd >"$log" 2>&1 &
engine=$!
trap 'kill "$engine" 2>/dev/null || true; wait "$engine" 2>/dev/null || true; rm -f "$log"' EXIT
tries=0
until docker info >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -gt 120 ] || ! kill -0 "$engine" 2>/dev/null; then
        echo "with-engine.sh: dockerd did not come up:" >&2
        tail -20 "$log" >&2
        exit 1
    fi
    sleep 0.5
done
"$@"
