//! Settings: layered, validated whole, documented by `config/default.toml`.
