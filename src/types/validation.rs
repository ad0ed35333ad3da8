//! Verdicts and findings about what a model wrote.
