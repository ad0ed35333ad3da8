//! CSV: a row is a passage, its other columns are payload.

use serde_json::{Map, Number, Value};

use super::sources::Item;

/// Which columns hold what.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    /// The column of the text.
    pub(super) text: String,
    /// The column of the ids. Without it a row's id is the file's name and the row's number.
    pub(super) id: String,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            text: "text".to_owned(),
            id: "id".to_owned(),
        }
    }
}

/// Reads a table with a header. A comma or, where the header has none, a semicolon or a tab is between columns.
pub(super) fn from_csv(name: &str, text: &str, columns: &Columns) -> Result<Vec<Item>, String> {
    let header = text.lines().next().unwrap_or_default();
    let delimiter = [b',', b';', b'\t']
        .into_iter()
        .find(|delimiter| header.as_bytes().contains(delimiter))
        .unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let place = |column: &str| header.iter().position(|name| name.trim() == column);
    let Some(text_at) = place(&columns.text) else {
        let known: Vec<&str> = header.iter().map(str::trim).collect();
        return Err(format!(
            "no column {:?}; there are: {}; choose the one of the text with --text-column",
            columns.text,
            known.join(", ")
        ));
    };
    let id_at = place(&columns.id);
    let mut items = Vec::new();
    for (number, row) in reader.records().enumerate() {
        // The error names the line.
        let row = row.map_err(|error| error.to_string())?;
        let text = row.get(text_at).unwrap_or_default().trim();
        if text.is_empty() {
            continue;
        }
        let id = id_at.and_then(|at| row.get(at)).map(str::trim);
        let id = id.filter(|id| !id.is_empty());
        let mut payload: Map<String, Value> = header
            .iter()
            .zip(&row)
            .enumerate()
            .filter(|(at, (column, _))| {
                *at != text_at && Some(*at) != id_at && !column.trim().is_empty()
            })
            .map(|(_, (column, cell))| (column.trim().to_owned(), value(cell)))
            .collect();
        payload
            .entry("source".to_owned())
            .or_insert_with(|| name.into());
        items.push(Item {
            id: id.map_or_else(|| format!("{name}#{number}"), str::to_owned),
            text: text.to_owned(),
            payload,
        });
    }
    Ok(items)
}

/// A cell as JSON: a number where it is written as one, so that 007 and 1e5 stay words.
fn value(cell: &str) -> Value {
    let number = cell.parse::<i64>().ok().map(Number::from);
    let number = number.or_else(|| cell.parse::<f64>().ok().and_then(Number::from_f64));
    match (cell, number) {
        ("", _) => Value::Null,
        ("true", _) => Value::Bool(true),
        ("false", _) => Value::Bool(false),
        (_, Some(number)) if number.to_string() == cell => Value::Number(number),
        _ => Value::String(cell.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_become_payload_with_their_types() {
        let csv = "id,text,year,code,price,open,note\n\
                   a1,\"The ferry, at nine\",1999,007,2.5,true,\n\
                   ,  ,1,2,3,4,5\n\
                   ,\"two\nlines\",-3,x,1e5,false,\"say \"\"hi\"\"\"\n";
        let items = from_csv("t.csv", csv, &Columns::default()).unwrap();
        assert_eq!(items.len(), 2);
        assert_eq!(
            (items[0].id.as_str(), items[0].text.as_str()),
            ("a1", "The ferry, at nine")
        );
        assert_eq!(
            Value::Object(items[0].payload.clone()),
            json!({"year": 1999, "code": "007", "price": 2.5, "open": true, "note": null, "source": "t.csv"})
        );
        assert_eq!(
            (items[1].id.as_str(), items[1].text.as_str()),
            ("t.csv#2", "two\nlines")
        );
        assert_eq!(items[1].payload["price"], "1e5");
        assert_eq!(items[1].payload["note"], "say \"hi\"");
    }

    #[test]
    fn other_columns_and_other_marks_between_them_can_be_chosen() {
        let columns = Columns {
            text: "body".to_owned(),
            id: "key".to_owned(),
        };
        for mark in [";", "\t"] {
            let csv = format!("key{mark}body{mark}source\n7{mark}words, more{mark}own\n");
            let items = from_csv("t.csv", &csv, &columns).unwrap();
            assert_eq!(
                (items[0].id.as_str(), items[0].text.as_str()),
                ("7", "words, more")
            );
            assert_eq!(items[0].payload["source"], "own");
        }
        let error = from_csv("t.csv", "a,b\n1,2\n", &columns).unwrap_err();
        assert!(
            error.contains("no column \"body\"; there are: a, b"),
            "{error}"
        );
        let error = from_csv("t.csv", "body,key\n1\n", &columns).unwrap_err();
        assert!(error.contains("line: 2"), "{error}");
    }

    proptest! {
        #[test]
        fn text_that_is_no_table_is_an_error_or_rows(text in "[a-z,;\"\n\t ]{0,60}") {
            drop(from_csv("t.csv", &format!("text,a\n{text}"), &Columns::default()));
            drop(from_csv("t.csv", &text, &Columns::default()));
        }
    }
}
