#!/bin/sh
# System packages: `system.sh need demo|test` installs what is missing; `system.sh install PACKAGE...` installs those.
# With root or a sudo that asks nothing, apt does it; otherwise this says exactly what is missing, and stops.
set -eu

packages_for() {
    # command:package, one a line
    case $1 in
    demo) echo "bwrap:bubblewrap git:git" ;;
    test) echo "bwrap:bubblewrap git:git dockerd:docker.io docker:docker.io iptables:iptables debootstrap:debootstrap \
docker-registry:docker-registry pg_ctlcluster:postgresql setpriv:util-linux chattr:e2fsprogs chromium:chromium chromium:fonts-dejavu-core" ;;
    *) echo "system.sh: unknown set '$1'" >&2; exit 2 ;;
    esac
}

install() {
    if [ "$(id -u)" = 0 ]; then as_root=""
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root="sudo -n"
    else
        echo "Carrel needs these system packages: $*" >&2
        echo "Install them, then try again:  sudo apt-get install $*" >&2
        exit 1
    fi
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "Carrel needs these programs' packages: $*  (no apt-get here: install them your system's way)" >&2
        exit 1
    fi
    echo "system.sh: installing $*" >&2
    said=$(mktemp)
    if ! { $as_root apt-get update -qq &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } >"$said" 2>&1; then
        cat "$said" >&2
        echo "system.sh: apt-get could not install $*; what it said stands above" >&2
        exit 1
    fi
    rm -f "$said"
}

need() {
    missing=""
    PATH="$PATH:/usr/sbin:/sbin"
    for pair in $(packages_for "$1"); do
        command -v "${pair%%:*}" >/dev/null 2>&1 && continue
        if [ "${pair%%:*}" = chromium ] && grep -q '^ID=ubuntu' /etc/os-release 2>/dev/null; then
            [ "${pair#*:}" != chromium ] || echo "system.sh: Ubuntu has Chromium as a snap only, which tests cannot drive:" \
                "put a chromium into PATH, or the tests in a browser are skipped" >&2
            continue
        fi
        missing="$missing ${pair#*:}"
    done
    # shellcheck disable=SC2086
    missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
    # shellcheck disable=SC2086
    [ -z "$(echo $missing)" ] || install $missing
}

command=$1
shift
case $command in
need) need "$1" ;;
install) install "$@" ;;
*) echo "system.sh: need SET | install PACKAGE..." >&2; exit 2 ;;
esac
