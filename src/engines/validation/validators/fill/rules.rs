//! The rules of `fill`.

use crate::engines::validation::Rule;

pub(super) const SHAPE: Rule = Rule::critical("fill.shape", "The payload is as the schema says.");
pub(super) const CONTEXT: Rule = Rule::critical(
    "fill.context",
    "The context is as the schema says, so that it can be checked.",
);
pub(super) const MISSPELT_FIELD: Rule = Rule::error(
    "fill.misspelt_field",
    "No field looks like a known one that is absent.",
);
pub(super) const UNKNOWN_FIELD: Rule = Rule::warning(
    "fill.unknown_field",
    "No field is there that nothing reads.",
);
pub(super) const COUNT: Rule = Rule::error(
    "fill.count",
    "As many are proposed as the context asks for, and at least one.",
);
pub(super) const WORKER_UNKNOWN: Rule =
    Rule::critical("fill.worker_unknown", "The worker is on the roster.");
pub(super) const ID_FORM: Rule =
    Rule::error("fill.id_form", "The id is written as it is on the roster.");
pub(super) const NAME_MISMATCH: Rule = Rule::error(
    "fill.name_mismatch",
    "The name is that of the worker with this id.",
);
pub(super) const NAME_FORM: Rule = Rule::warning(
    "fill.name_form",
    "The name has the accents that it has on the roster.",
);
pub(super) const INACTIVE: Rule = Rule::error("fill.inactive", "The worker is active.");
pub(super) const ROLE_MISMATCH: Rule = Rule::error(
    "fill.role_mismatch",
    "The worker does what the opening needs, as proposed.",
);
pub(super) const PLACE_MISMATCH: Rule = Rule::error(
    "fill.place_mismatch",
    "The worker works in the city and state of the opening.",
);
pub(super) const BARRED: Rule =
    Rule::critical("fill.barred", "The client does not refuse the worker.");
pub(super) const BAD_DATE: Rule = Rule::error(
    "fill.bad_date",
    "Start and end are ISO dates or date-times, in this order.",
);
pub(super) const UNAVAILABLE: Rule = Rule::error(
    "fill.unavailable",
    "The worker is available on each day of the assignment.",
);
pub(super) const CERTIFICATE_MISSING: Rule = Rule::error(
    "fill.certificate_missing",
    "The worker holds each certificate that the context asks for.",
);
pub(super) const CERTIFICATE_EXPIRED: Rule = Rule::error(
    "fill.certificate_expired",
    "No certificate that is asked for has expired when the work begins.",
);
pub(super) const CERTIFICATE_EXPIRES: Rule = Rule::error(
    "fill.certificate_expires",
    "No certificate that is asked for expires before the last day of the work.",
);
pub(super) const DUPLICATE: Rule = Rule::error(
    "fill.duplicate",
    "No worker is proposed twice for the same time, or for none.",
);
pub(super) const DOUBLE_BOOKED: Rule = Rule::error(
    "fill.double_booked",
    "No two assignments of one worker overlap, nor one with what the worker is booked for.",
);

pub(super) const CUT: Rule = Rule::warning("fill.cut", "No rule has more than 100 findings.");

/// All of them, in the order of the checks.
pub(super) const ALL: &[Rule] = &[
    SHAPE,
    CONTEXT,
    MISSPELT_FIELD,
    UNKNOWN_FIELD,
    COUNT,
    WORKER_UNKNOWN,
    ID_FORM,
    NAME_MISMATCH,
    NAME_FORM,
    INACTIVE,
    ROLE_MISMATCH,
    PLACE_MISMATCH,
    BARRED,
    BAD_DATE,
    UNAVAILABLE,
    CERTIFICATE_MISSING,
    CERTIFICATE_EXPIRED,
    CERTIFICATE_EXPIRES,
    DUPLICATE,
    DOUBLE_BOOKED,
    CUT,
];
