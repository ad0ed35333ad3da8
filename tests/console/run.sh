#!/usr/bin/env bash
# Walks the console of a binary in headless Chromium: run.sh path/to/boathouse [--screenshots]
# Without a binary it only installs: selenium and axe-core below target/, and where it is root, Debian's chromium and driver.
set -euo pipefail
binary=${1:+$(realpath "$1")}
cd "$(dirname "$0")/../.."
home=target/console
suite=tests/console

if ! command -v chromedriver >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        { apt-get update && apt-get install -y --no-install-recommends chromium chromium-driver; } >"${TMPDIR:-/tmp}/chromium.log" 2>&1 ||
            { cat "${TMPDIR:-/tmp}/chromium.log" >&2; exit 1; }
    else
        echo "chromedriver is not installed: install chromium and chromium-driver (apt-get install chromium chromium-driver)" >&2
        exit 1
    fi
fi
if ! cmp -s "$suite/requirements.txt" "$home/venv/installed.txt"; then
    python3 -m venv "$home/venv"
    "$home/venv/bin/pip" install --quiet --disable-pip-version-check -r "$suite/requirements.txt"
    cp "$suite/requirements.txt" "$home/venv/installed.txt"
fi
if command -v npm >/dev/null; then
    mkdir -p "$home/node"
    cp "$suite/package.json" "$home/node/"
    (cd "$home/node" && npm install --silent --no-audit --no-fund)
    export CONSOLE_AXE="$PWD/$home/node/node_modules/axe-core/axe.min.js"
else
    echo "npm is not installed: the rules of accessibility are skipped"
fi
test -n "$binary" || exit 0
exec "$home/venv/bin/python" -B "$suite/run.py" "$binary" "${@:2}"
