//! What chat calls took, by day, key and model, and what a key may spend.
//!
//! ```
//! use boathouse::engines::usage::{Call, Ledger, UsageFilter};
//!
//! let evidence = serde_json::json!({
//!     "answered_by": "up/m", "finish_reason": "stop", "key": "k", "cost_usd": 0.25,
//!     "usage": {"prompt_tokens": 3, "completion_tokens": 4},
//! });
//! let mut ledger = Ledger::default();
//! ledger.count(&Call::of(0, (&evidence).into()).unwrap());
//! let rows = ledger.rows(&UsageFilter::default());
//! assert_eq!((rows[0].day.as_str(), rows[0].sums.cost_usd), ("1970-01-01", Some(0.25)));
//! ```

mod budget;
mod call;
mod ledger;

pub use budget::{BudgetConfig, Budgets, Exceeded, Period, check_tokens};
pub use call::{ANONYMOUS, Call, Told};
pub use ledger::{Counters, Ledger, Named, Selection, UsageFilter};
