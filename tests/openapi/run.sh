#!/usr/bin/env bash
# Runs schemathesis over the OpenAPI document that a binary serves: run.sh path/to/boathouse [OPTIONS OF st run]
# Without a binary it only installs. Its packages are installed below target/.
set -euo pipefail
binary=${1:+$(realpath "$1")}
cd "$(dirname "$0")/../.."
home=target/openapi
suite=tests/openapi

if ! cmp -s "$suite/requirements.txt" "$home/venv/installed.txt"; then
    python3 -m venv "$home/venv"
    "$home/venv/bin/pip" install --quiet --disable-pip-version-check -r "$suite/requirements.txt"
    cp "$suite/requirements.txt" "$home/venv/installed.txt"
fi
test -n "$binary" || exit 0
exec "$home/venv/bin/python" -B "$suite/run.py" "$binary" "${@:2}"
