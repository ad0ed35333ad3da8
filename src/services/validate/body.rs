//! The two forms of a body of `POST /v1/validate`.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use utoipa::openapi::schema::OneOfBuilder;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::{ValidateBatchInput, ValidateInput};

/// A validation, or several.
#[derive(Debug)]
pub enum ValidateBody {
    /// One.
    One(Box<ValidateInput>),
    /// What has `items`.
    Batch(ValidateBatchInput),
}

// Not untagged: its errors do not say which field is wrong.
impl<'de> Deserialize<'de> for ValidateBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let body = Map::deserialize(deserializer)?;
        let read = if body.contains_key("items") {
            ValidateBatchInput::deserialize(Value::Object(body)).map(Self::Batch)
        } else {
            ValidateInput::deserialize(Value::Object(body)).map(|one| Self::One(Box::new(one)))
        };
        read.map_err(D::Error::custom)
    }
}

impl PartialSchema for ValidateBody {
    fn schema() -> RefOr<Schema> {
        let one = Ref::from_schema_name(ValidateInput::name());
        let batch = Ref::from_schema_name(ValidateBatchInput::name());
        OneOfBuilder::new().item(one).item(batch).into()
    }
}

impl ToSchema for ValidateBody {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ValidateBody")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ValidateInput::name().into(), ValidateInput::schema()));
        ValidateInput::schemas(schemas);
        schemas.push((
            ValidateBatchInput::name().into(),
            ValidateBatchInput::schema(),
        ));
        ValidateBatchInput::schemas(schemas);
    }
}
