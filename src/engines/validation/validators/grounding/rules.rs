//! The rules of `grounding`.

use crate::engines::validation::Rule;

pub(super) const SHAPE: Rule = Rule::critical(
    "grounding.shape",
    "payload and context have the fields of the schema, of their types",
);
pub(super) const UNSUPPORTED: Rule = Rule::error(
    "grounding.unsupported",
    "each sentence is supported by a passage that it cites, or by any when it cites none",
);
pub(super) const CONTRADICTED: Rule = Rule::error(
    "grounding.contradicted",
    "no sentence denies what its passage says, or says what it denies",
);
pub(super) const NUMBER_DIFFERS: Rule = Rule::error(
    "grounding.number_differs",
    "each number stands in the passages",
);
pub(super) const UNIT_DIFFERS: Rule = Rule::error(
    "grounding.unit_differs",
    "each number has the unit that it has in the passages",
);
pub(super) const DATE_DIFFERS: Rule = Rule::error(
    "grounding.date_differs",
    "each month and day of the week stands in the passages",
);
pub(super) const NAME_DIFFERS: Rule = Rule::error(
    "grounding.name_differs",
    "each name stands in the passages or in the question",
);
pub(super) const CITATION_WRONG: Rule = Rule::error(
    "grounding.citation_wrong",
    "what supports a sentence is what it cites",
);
pub(super) const CITATION_RANGE: Rule = Rule::error(
    "grounding.citation_out_of_range",
    "each number in square brackets is that of a passage",
);
pub(super) const CITATION_MISSING: Rule = Rule::warning(
    "grounding.citation_missing",
    "each sentence cites a passage",
);
pub(super) const CUT: Rule = Rule::warning("grounding.cut", "the whole answer is judged");

pub(super) const ALL: &[Rule] = &[
    SHAPE,
    UNSUPPORTED,
    CONTRADICTED,
    NUMBER_DIFFERS,
    UNIT_DIFFERS,
    DATE_DIFFERS,
    NAME_DIFFERS,
    CITATION_WRONG,
    CITATION_RANGE,
    CITATION_MISSING,
    CUT,
];
