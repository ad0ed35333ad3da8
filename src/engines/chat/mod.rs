//! Chat dispatch: providers as sans-I/O converters, routing, retry, breaker.
