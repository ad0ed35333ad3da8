//! Which records are asked for, by a reader and by somebody who wants to be forgotten; whether they are as their schemas
//! say; and how the production was that they tell of.

mod drift;
mod filter;
mod profile;
mod quantiles;
mod selection;
mod shape;

pub use drift::{Measure, Moved, Thresholds, Way, compare};
pub use filter::EvidenceFilter;
pub use profile::{Latency, Mix, PROFILE_FORMAT, Profile, Profiler, Retrieved, Tokens};
pub use selection::{Found, Selection, Subject};
pub use shape::{Misfit, SchemaError, Shapes};
