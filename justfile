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
