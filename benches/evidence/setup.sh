#!/usr/bin/env bash
# Installs what `cargo bench --bench evidence` compares with.
set -euo pipefail
cd "$(dirname "$0")/../.."
python3 -m venv target/bench-evidence
target/bench-evidence/bin/pip install --quiet duckdb==1.4.2
