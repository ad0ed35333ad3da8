#!/usr/bin/env bash
# Runs the official clients of the APIs that are served against a binary: run.sh path/to/boathouse
# Without a binary it only installs. Their packages are installed below target/; the ones of npm only where node is.
set -euo pipefail
binary=${1:+$(realpath "$1")}
cd "$(dirname "$0")/../.."
home=target/clients
suite=tests/clients

if ! cmp -s "$suite/requirements.txt" "$home/venv/installed.txt"; then
    python3 -m venv "$home/venv"
    # The model of llama.cpp is tiny: that it is compiled soon counts more than how fast it is.
    CMAKE_ARGS="-DLLAVA_BUILD=OFF -DGGML_NATIVE=OFF -DCMAKE_C_FLAGS_RELEASE=-O0 -DCMAKE_CXX_FLAGS_RELEASE=-O0" \
        "$home/venv/bin/pip" install --quiet --disable-pip-version-check -r "$suite/requirements.txt"
    cp "$suite/requirements.txt" "$home/venv/installed.txt"
fi
if command -v node >/dev/null && command -v npm >/dev/null; then
    mkdir -p "$home/node"
    cp "$suite"/node/* "$home/node/"
    (cd "$home/node" && npm install --silent --no-audit --no-fund)
    export CLIENTS_NODE="$PWD/$home/node/clients.mjs"
else
    echo "node is not installed: the clients of npm are skipped"
fi
test -n "$binary" || exit 0
exec "$home/venv/bin/python" -B "$suite/run.py" "$binary"
