//! The columns of a table, and what it says of itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lancedb::arrow::arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};

use serde::{Deserialize, Serialize};

use super::extremes::{DATED, Extreme, PLAIN};
use crate::actors::index::store::Stored;
use crate::engines::index::IndexError;
use crate::types::collection::{self, CollectionSpec, FieldKind};

pub(super) const ID: &str = "id";
pub(super) const VECTOR: &str = "vector";
pub(super) const TEXT: &str = "text";
/// JSON, as it was given.
pub(super) const PAYLOAD: &str = "payload";
/// The text's words as we index them, with spaces between.
pub(super) const WORDS: &str = "words";
/// The payload's [words](super::terms).
pub(super) const TERMS: &str = "terms";

/// The key of the table's metadata that says which collection it is.
const DESCRIPTION: &str = "boathouse";

#[derive(Serialize, Deserialize)]
struct Description {
    spec: CollectionSpec,
    draft: Option<String>,
}

/// The schema of a new table.
pub(super) fn schema(stored: &Stored) -> Result<SchemaRef, IndexError> {
    let dim = i32::try_from(stored.spec.dim)
        .map_err(|_| IndexError::BadSpec(format!("dim {} is too great", stored.spec.dim)))?;
    // Two replicas that insert the same id at the same time are told apart by it.
    let key = HashMap::from([(
        "lance-schema:unenforced-primary-key".to_owned(),
        "true".to_owned(),
    )]);
    let mut fields = vec![
        Field::new(ID, DataType::Utf8, false).with_metadata(key),
        Field::new(
            VECTOR,
            DataType::FixedSizeList(item(DataType::Float32), dim),
            true,
        ),
        Field::new(TEXT, DataType::Utf8, true),
        Field::new(PAYLOAD, DataType::Utf8, true),
        Field::new(WORDS, DataType::Utf8, true),
        Field::new(TERMS, DataType::List(item(DataType::Utf8)), true),
    ];
    fields.extend(declared(&stored.spec.schema).into_values());
    let schema = Schema::new(fields);
    Ok(Arc::new(
        schema.with_metadata(described(HashMap::new(), stored)?),
    ))
}

/// The metadata of a table with another description.
pub(super) fn described(
    mut metadata: HashMap<String, String>,
    stored: &Stored,
) -> Result<HashMap<String, String>, IndexError> {
    let description = Description {
        spec: stored.spec.clone(),
        draft: stored.draft.clone(),
    };
    let text = serde_json::to_string(&description)
        .map_err(|error| IndexError::BadSpec(format!("cannot be written: {error}")))?;
    metadata.insert(DESCRIPTION.to_owned(), text);
    Ok(metadata)
}

/// What a table says of itself; `None`: it is none of ours.
pub(super) fn read(schema: &Schema) -> Option<Stored> {
    let description: Description = serde_json::from_str(schema.metadata.get(DESCRIPTION)?).ok()?;
    Some(Stored {
        spec: description.spec,
        draft: description.draft,
    })
}

/// The columns that declared fields need, by their names.
pub(super) fn declared(schema: &collection::Schema) -> BTreeMap<String, Field> {
    let mut columns = BTreeMap::new();
    for (path, kind) in &schema.fields {
        let dated = (*kind == FieldKind::Datetime).then_some(DATED);
        for which in PLAIN.into_iter().chain(dated.into_iter().flatten()) {
            let name = column(path, which);
            let field = Field::new(&name, which.data_type(), true);
            columns.insert(name, field);
        }
        if dated.is_some() {
            let name = moments(path);
            let field = Field::new(&name, DataType::List(item(DataType::Int64)), true);
            columns.insert(name, field);
        }
    }
    columns
}

/// Whether a column is that of a declared field.
pub(super) fn is_declared(name: &str) -> bool {
    name.starts_with("field_")
}

/// The column of a field's extreme.
pub(super) fn column(path: &str, which: Extreme) -> String {
    format!("{}{}", prefix(path), which.suffix())
}

/// The column of a field's moments.
pub(super) fn moments(path: &str) -> String {
    format!("{}moments", prefix(path))
}

/// How the columns of a field begin: paths may hold anything, names of columns may not.
pub(super) fn prefix(path: &str) -> String {
    let hash = blake3::hash(path.as_bytes()).to_hex();
    format!("field_{}_", hash.get(..16).unwrap_or_default())
}

/// Those of `fields` that are declared fields', by the field's prefix.
pub(super) fn by_prefix(fields: &Fields) -> HashMap<String, Vec<Arc<Field>>> {
    let mut found: HashMap<String, Vec<Arc<Field>>> = HashMap::new();
    for field in fields.iter().filter(|field| is_declared(field.name())) {
        let end = prefix("").len().min(field.name().len());
        let start = field.name().get(..end).unwrap_or_default();
        found
            .entry(start.to_owned())
            .or_default()
            .push(Arc::clone(field));
    }
    found
}

pub(super) fn item(of: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", of, true))
}
