#!/usr/bin/env bash
# Asks every index backend that a binary has the same questions: run.sh path/to/boathouse [backend ...]
# Qdrant is a double over its own engine, or the server at QDRANT_URL; `lance-bucket` has its tables in an S3 of this machine.
# `qdrant-moves` and, only when it is named, `lance-moves` take minutes: collections go there and back under load, and the process
# is killed meanwhile.
# Without a binary it only installs, below target/.
set -euo pipefail
binary=${1:+$(realpath "$1")}
cd "$(dirname "$0")/../.."
home=target/backends
suite=tests/backends

if ! cmp -s "$suite/requirements.txt" "$home/venv/installed.txt"; then
    python3 -m venv "$home/venv"
    "$home/venv/bin/pip" install --quiet --disable-pip-version-check -r "$suite/requirements.txt"
    cp "$suite/requirements.txt" "$home/venv/installed.txt"
fi
test -n "$binary" || exit 0
shift
exec "$home/venv/bin/python" -B "$suite/run.py" "$binary" "$@"
