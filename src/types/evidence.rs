//! Evidence records: what happened in production, one line each.
