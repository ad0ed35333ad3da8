//! How filters over payloads are described.

use std::borrow::Cow;

use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, ArrayBuilder, ObjectBuilder, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// The schema of a filter: [`Filter`](crate::engines::index::Filter) reads it by hand, for errors that say where.
pub struct FilterSchema;

/// The schema of the operators of a field.
struct OperatorsSchema;

const EXAMPLE: &str = r#"{"city": "Bern", "year": {"$gte": 2020}}"#;

fn reference<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}

fn of(types: &[Type]) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::Array(types.to_vec()))
}

/// Keys of an object: paths of fields, which may be empty, and these operators.
fn paths_and(operators: &[&str]) -> Schema {
    let key = || ObjectBuilder::new().schema_type(Type::String);
    AnyOfBuilder::new()
        .item(key().enum_values(Some(operators.iter().chain(&[""]).copied())))
        .item(key().pattern(Some("^[^$]")))
        .into()
}

impl PartialSchema for FilterSchema {
    fn schema() -> RefOr<Schema> {
        let several = || {
            ArrayBuilder::new()
                .items(reference::<Self>())
                .min_items(Some(1))
        };
        let value = of(&[
            Type::Null,
            Type::Boolean,
            Type::Number,
            Type::String,
            Type::Array,
        ]);
        let nested = ObjectBuilder::new().property_names(Some(paths_and(&[])));
        let condition = AnyOfBuilder::new()
            .item(value.description(Some("It equals this, or has it among its items.")))
            .item(nested.description(Some("It equals this.")))
            .item(reference::<OperatorsSchema>());
        ObjectBuilder::new()
            .description(Some(
                "Conditions on the payload by the paths of its fields; all must hold. A dot leads into nested objects.",
            ))
            .property("$and", several())
            .property("$or", several())
            .property("$not", reference::<Self>())
            .property_names(Some(paths_and(&["$and", "$or", "$not"])))
            .additional_properties(Some(AdditionalProperties::RefOr(condition.into())))
            .min_properties(Some(1))
            .examples([serde_json::from_str::<serde_json::Value>(EXAMPLE).unwrap_or_default()])
            .into()
    }
}

impl ToSchema for FilterSchema {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Filter")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((
            OperatorsSchema::name().into_owned(),
            OperatorsSchema::schema(),
        ));
    }
}

impl PartialSchema for OperatorsSchema {
    fn schema() -> RefOr<Schema> {
        let ordered = || of(&[Type::Number, Type::String]);
        let any = || ObjectBuilder::new().schema_type(SchemaType::AnyValue);
        let list = || ArrayBuilder::new().items(any());
        ObjectBuilder::new()
            .description(Some("Operators on a field; all must hold."))
            .property("$eq", any())
            .property("$ne", any())
            .property("$gt", ordered())
            .property("$gte", ordered())
            .property("$lt", ordered())
            .property("$lte", ordered())
            .property("$in", list())
            .property("$nin", list())
            .property("$exists", ObjectBuilder::new().schema_type(Type::Boolean))
            .property("$not", reference::<Self>())
            .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
            .min_properties(Some(1))
            .into()
    }
}

impl ToSchema for OperatorsSchema {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("FilterOperators")
    }
}
