//! The field `input` of `POST /v1/embeddings`.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use utoipa::openapi::schema::{ArrayBuilder, ArrayItems, ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// OpenAI's `input`.
#[derive(Debug, PartialEq)]
pub enum TextInput {
    /// A text.
    Text(String),
    /// A list, or what is none of the forms: whoever knows the model says.
    Other(Value),
}

// By hand: `#[serde(untagged)]` copies what it reads into a buffer of its own first.
impl<'de> Deserialize<'de> for TextInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Forms)
    }
}

impl PartialSchema for TextInput {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let id = || {
            let id = ObjectBuilder::new().schema_type(Type::Integer);
            id.minimum(Some(0)).maximum(Some(u32::MAX))
        };
        let ids = || ArrayBuilder::new().items(id()).min_items(Some(1));
        let several = |items: ArrayItems| ArrayBuilder::new().items(items).min_items(Some(1));
        OneOfBuilder::new()
            .description(Some(
                "A text, a list of texts, a list of token ids, or a list of such lists.",
            ))
            .item(text().description(Some("A text.")))
            .item(several(text().into()).description(Some("Texts.")))
            .item(ids().description(Some("The tokens of a text.")))
            .item(several(ids().into()).description(Some("The tokens of texts.")))
            .into()
    }
}

impl ToSchema for TextInput {}

struct Forms;

impl<'de> Visitor<'de> for Forms {
    type Value = TextInput;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text or a list")
    }

    fn visit_str<E>(self, text: &str) -> Result<TextInput, E> {
        Ok(TextInput::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<TextInput, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(list)).map(TextInput::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TextInput, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(map)).map(TextInput::Other)
    }

    fn visit_bool<E>(self, value: bool) -> Result<TextInput, E> {
        Ok(TextInput::Other(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<TextInput, E> {
        Ok(TextInput::Other(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<TextInput, E> {
        Ok(TextInput::Other(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<TextInput, E> {
        Ok(TextInput::Other(value.into()))
    }

    fn visit_unit<E>(self) -> Result<TextInput, E> {
        Ok(TextInput::Other(Value::Null))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_it_is_nothing_of_it_is_lost() {
        for value in [
            json!(["a", [1, 2], 3]),
            json!({"a": {"b": null}}),
            json!([]),
            json!(true),
            json!(-7),
            json!(7),
            json!(0.5),
            json!(null),
        ] {
            let read = serde_json::from_str::<TextInput>(&value.to_string()).unwrap();
            assert_eq!(read, TextInput::Other(value));
        }
        for (json, text) in [
            (r#""a b""#, "a b"),
            (r#""a\n\u00e4""#, "a\nä"),
            ("\"\"", ""),
        ] {
            let read = serde_json::from_str::<TextInput>(json).unwrap();
            assert_eq!(read, TextInput::Text(text.to_owned()));
        }
    }
}
