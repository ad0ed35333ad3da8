//! What the HTTP edge has answered.

/// Requests since the start; those of the console's own pages are not among them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Traffic {
    /// Answered.
    pub requests: u64,
    /// Of those, with a status of 500 or above.
    pub failed: u64,
    /// Upper bounds in seconds, ascending, each with the requests whose head took no longer.
    pub within: Vec<(f64, u64)>,
}
