//! Faults injected on purpose: only in builds with the feature `chaos`, and only where the settings allow it.

use serde::Deserialize;
use utoipa::ToSchema;

use super::{ServiceError, Services};
use crate::types::error_kind::ErrorKind;

/// A fault to inject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The worker panics.
    Panic,
    /// The worker blocks until it is given up.
    Hang,
    /// The request takes `ms` longer.
    Slow,
    /// The worker panics, and so does a drop.
    DropPanic,
    /// The next `times` starts of a worker fail.
    FactoryFailure,
}

/// A request to `POST /v1/supervisors/{id}/chaos`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChaosInput {
    /// Which fault; left out: what was injected and has not struck is taken back.
    pub fault: Option<Fault>,
    /// For `slow`: how much longer, milliseconds; default 100.
    pub ms: Option<u64>,
    /// For `factory_failure`: how often; default 1.
    pub times: Option<u32>,
    /// Strike each request with this probability; left out: strike the next one only.
    #[schema(minimum = 0, maximum = 1)]
    pub probability: Option<f64>,
    /// The same seed gives the same sequence.
    #[serde(default)]
    pub seed: u64,
}

/// Serves `POST /v1/supervisors/{id}/chaos`.
pub fn inject(services: &Services, id: &str, input: &ChaosInput) -> Result<(), ServiceError> {
    if !services.limits.allow_crash {
        return Err(ServiceError::new(
            ErrorKind::Unprocessable,
            "injecting faults is switched off; set supervisors.allow_crash = true",
        )
        .code("crash_not_allowed"));
    }
    if input
        .probability
        .is_some_and(|chance| !(0.0..=1.0).contains(&chance))
    {
        return Err(ServiceError::bad_request("probability must be 0 to 1").param("probability"));
    }
    strike(services, id, input)
}

#[cfg(feature = "chaos")]
fn strike(services: &Services, id: &str, input: &ChaosInput) -> Result<(), ServiceError> {
    use std::time::Duration;

    use supervisors::{Chaos, When};

    let when = match input.probability {
        Some(probability) => When::Chance {
            probability,
            seed: input.seed,
        },
        None => When::Next,
    };
    let what = match input.fault {
        None => {
            return services
                .tree
                .calm(id)
                .map_err(super::supervision::tree_error);
        }
        Some(Fault::Panic) => Chaos::Panic,
        Some(Fault::Hang) => Chaos::Hang,
        Some(Fault::Slow) => Chaos::Slow(Duration::from_millis(input.ms.unwrap_or(100))),
        Some(Fault::DropPanic) => Chaos::DropPanic,
        Some(Fault::FactoryFailure) => Chaos::FactoryFailure {
            times: input.times.unwrap_or(1),
        },
    };
    services
        .tree
        .inject(id, what, when)
        .map_err(super::supervision::tree_error)
}

#[cfg(not(feature = "chaos"))]
fn strike(_: &Services, _: &str, _: &ChaosInput) -> Result<(), ServiceError> {
    Err(ServiceError::new(
        ErrorKind::Unprocessable,
        "this build cannot inject faults; build it with --features chaos",
    )
    .code("no_chaos"))
}
