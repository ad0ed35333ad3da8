#!/usr/bin/env bash
# Kills and upgrades replicas of a binary behind nginx: run.sh path/to/boathouse
# The binary has the feature `qdrant`; Qdrant is a double over its own engine. Without a binary it only installs, below target/: of Debian's nginx
# the package is unpacked there, so that no service starts.
set -euo pipefail
binary=${1:+$(realpath "$1")}
cd "$(dirname "$0")/../.."
home=$PWD/target/replicas
suite=tests/replicas

nginx=$(PATH=$PATH:/usr/sbin command -v nginx || echo "$home/nginx/usr/sbin/nginx")
if [ ! -x "$nginx" ]; then
    if ! command -v apt-get >/dev/null; then
        echo "nginx is not installed, 1.22 or later is needed" >&2
        exit 1
    fi
    mkdir -p "$home/nginx"
    (
        cd "$home"
        apt-get download nginx || { [ "$(id -u)" = 0 ] && apt-get update && apt-get download nginx; }
        dpkg -x nginx_*.deb nginx
    ) >"$home/nginx.log" 2>&1 || { cat "$home/nginx.log" >&2; exit 1; }
fi
tests/backends/run.sh
test -n "$binary" || exit 0
exec target/backends/venv/bin/python -B "$suite/run.py" "$binary" "$nginx"
