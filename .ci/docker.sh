#!/bin/sh
# Make the sandboxes testable: bubblewrap, a Docker engine that answers, and the image, built without a registry.
# May be run again at any time. Fails when anything is missing afterwards: a skipped isolation test must not look passed.
#
# PYTHON     interpreter that has evolve installed; its own copy goes into the image (default: python3)
# DOCKER_DIR where an engine started here keeps its data and its log (default: /var/tmp/evolve-docker)
set -eu

PYTHON=${PYTHON:-python3}
DOCKER_DIR=${DOCKER_DIR:-/var/tmp/evolve-docker}

say() { echo "docker.sh: $*" >&2; }

missing=""
command -v bwrap >/dev/null 2>&1 || missing="$missing bubblewrap"
command -v setpriv >/dev/null 2>&1 || missing="$missing util-linux"
command -v dockerd >/dev/null 2>&1 || docker info >/dev/null 2>&1 || missing="$missing docker.io"
if [ -n "$missing" ]; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        say "needs$missing, and may not install it"
        exit 1
    fi
    say "installing$missing"
    apt-get update -q >&2
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >&2
fi

answers() { "$PYTHON" -c 'import docker; docker.from_env(timeout=5).ping()' >/dev/null 2>&1; }

if ! answers; then
    if [ "$(id -u)" -ne 0 ]; then
        say "the Docker engine does not answer, and only root can start one"
        exit 1
    fi
    mkdir -p "$DOCKER_DIR/data"
    say "starting dockerd; its log is $DOCKER_DIR/log"
    # Its own session, so that it does not end with the shell that called us.
    setsid dockerd --data-root "$DOCKER_DIR/data" --pidfile "$DOCKER_DIR/pid" >"$DOCKER_DIR/log" 2>&1 </dev/null &
    left=60
    until answers; do
        left=$((left - 1))
        if [ "$left" -le 0 ]; then
            say "dockerd does not answer after 60 s; the end of its log:"
            tail -n 20 "$DOCKER_DIR/log" >&2
            exit 1
        fi
        sleep 1
    done
fi

"$PYTHON" -m evolve.sandbox.image
