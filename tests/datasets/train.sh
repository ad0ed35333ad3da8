#!/usr/bin/env bash
# Trains one step on exports of a binary with TRL and sentence-transformers: train.sh path/to/boathouse
# No part of .ci/run: PyTorch from PyPI comes with some gigabytes for graphics cards. Its packages are installed below target/.
set -euo pipefail
binary=$(realpath "$1")
cd "$(dirname "$0")/../.."
home=target/datasets-train
suite=tests/datasets

if ! cmp -s "$suite/train-requirements.txt" "$home/venv/installed.txt"; then
    python3 -m venv "$home/venv"
    "$home/venv/bin/pip" install --quiet --disable-pip-version-check -r "$suite/train-requirements.txt"
    cp "$suite/train-requirements.txt" "$home/venv/installed.txt"
fi
exec "$home/venv/bin/python" -B "$suite/train.py" "$binary"
