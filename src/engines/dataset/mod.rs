//! From evidence to training data: materialize, score, export.
