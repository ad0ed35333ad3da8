//! Validators: what a model wrote, judged before anyone acts on it.
