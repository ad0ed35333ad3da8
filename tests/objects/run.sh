#!/usr/bin/env bash
# Pushes from a binary with object storage to an S3 of this machine and to a folder, and reads what is there with DuckDB, pyarrow
# and Spark: run.sh path/to/boathouse
# Without a binary it only installs. Its packages are installed below target/. Spark needs Java 17 or newer.
set -euo pipefail
binary=${1:+$(realpath "$1")}
cd "$(dirname "$0")/../.."
home=target/objects
suite=tests/objects

if ! cmp -s "$suite/requirements.txt" "$home/venv/installed.txt"; then
    python3 -m venv "$home/venv"
    "$home/venv/bin/pip" install --quiet --disable-pip-version-check -r "$suite/requirements.txt"
    cp "$suite/requirements.txt" "$home/venv/installed.txt"
fi
test -n "$binary" || exit 0
exec "$home/venv/bin/python" -B "$suite/run.py" "$binary"
