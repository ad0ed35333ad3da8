//! The parts of a path, as the description of the API tells them.

use utoipa::IntoParams;

/// `{name}` of a collection.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes what the handlers read")]
pub(super) struct CollectionPath {
    /// The collection.
    #[param(
        min_length = 1,
        max_length = 64,
        pattern = "^[A-Za-z0-9_][A-Za-z0-9_-]*$"
    )]
    name: String,
}

/// `{name}` of a collection and `{field}` of its payloads.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes what the handlers read")]
pub(super) struct FieldPath {
    /// The collection.
    #[param(
        min_length = 1,
        max_length = 64,
        pattern = "^[A-Za-z0-9_][A-Za-z0-9_-]*$"
    )]
    name: String,
    /// The field's path in the payload.
    #[param(min_length = 1, max_length = 512)]
    field: String,
}

/// `{name}` of a collection and `{id}` of a point.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes what the handlers read")]
pub(super) struct PointPath {
    /// The collection.
    #[param(
        min_length = 1,
        max_length = 64,
        pattern = "^[A-Za-z0-9_][A-Za-z0-9_-]*$"
    )]
    name: String,
    /// The point.
    #[param(min_length = 1, max_length = 512)]
    id: String,
}

/// `{model}`.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes what the handlers read")]
pub(super) struct ModelPath {
    /// A name from the list.
    #[param(min_length = 1)]
    model: String,
}

/// `{id}` of a node of the supervision tree.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes what the handlers read")]
pub(super) struct NodePath {
    /// A cell's id or path, as in the tree.
    #[param(min_length = 1)]
    id: String,
}

/// `{digest}` of a dead letter.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes what the handlers read")]
pub(super) struct LetterPath {
    /// The dead letter's digest.
    #[param(min_length = 1)]
    digest: String,
}

/// `{task}`.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes what the handlers read")]
pub(super) struct TaskPath {
    /// The task, as `GET /v1/review` lists it.
    #[param(min_length = 1)]
    task: String,
}
