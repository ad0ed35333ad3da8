//! Text to vectors: embedders, tokenizer, cache, evaluation.
