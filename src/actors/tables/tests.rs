use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::engines::validation::{FillConfig, Roster, ValidationConfig, Validators};
use crate::types::validation::Verdict;

const HEADER: &str = "worker_id,name,role,city,state,status\n";

fn row(id: &str, name: &str) -> String {
    format!("{id},{name},welder,Gary,IN,active\n")
}

fn state(roster: &Path, calendar: Option<&Path>) -> Result<TablesState, String> {
    let config = FillConfig {
        roster: Some(roster.display().to_string()),
        calendar: calendar.map(|path| path.display().to_string()),
        ..FillConfig::default()
    };
    TablesState::load(&config, 1).map_err(|error| error.to_string())
}

fn known(state: &TablesState, id: &str) -> bool {
    state.tables().roster.current().find(id).is_some()
}

#[test]
fn a_changed_file_is_read_and_a_bad_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roster.csv");
    fs::write(&path, format!("{HEADER}{}", row("W-1", "Ann Lee"))).unwrap();
    let state = state(&path, None).unwrap();
    assert!(known(&state, "W-1"));

    // As it was: not read again.
    state.read_files(false, 2);
    assert_eq!(state.status()[0].loaded_at_ms, Some(1));

    let two = format!("{HEADER}{}{}", row("W-1", "Ann Lee"), row("W-2", "Bo Lund"));
    fs::write(&path, &two).unwrap();
    state.read_files(false, 3);
    assert!(known(&state, "W-2"));
    let status = state.status();
    assert_eq!((status[0].rows, status[0].loaded_at_ms), (2, Some(3)));

    // The old one counts on, also when it is looked at once more.
    fs::write(&path, format!("{two}W-3,,welder,Gary,IN,active\n")).unwrap();
    for now_ms in [4, 5] {
        state.read_files(false, now_ms);
        assert!(known(&state, "W-2") && !known(&state, "W-3"));
        let status = state.status();
        let error = status[0].error.as_deref().unwrap();
        assert!(
            error.ends_with("roster.csv line 4, column name: is empty"),
            "{error}"
        );
        assert_eq!(status[0].loaded_at_ms, Some(3));
    }
    fs::remove_file(&path).unwrap();
    state.read_files(false, 6);
    assert!(known(&state, "W-2"));
    assert!(
        state.status()[0]
            .error
            .as_deref()
            .unwrap()
            .contains("cannot be read")
    );

    fs::write(&path, format!("{HEADER}{}", row("W-4", "Cy Moss"))).unwrap();
    state.read_files(false, 7);
    assert!(known(&state, "W-4") && !known(&state, "W-2"));
    assert_eq!(state.status()[0].error, None);
}

#[test]
fn validators_judge_by_what_was_read_last() {
    let folder = tempfile::tempdir().unwrap();
    let (roster, calendar) = (folder.path().join("r.jsonl"), folder.path().join("b.csv"));
    let worker = json!({
        "worker_id": "W-1", "name": "Ann Lee", "role": "welder", "city": "Gary", "state": "IN", "status": "active",
    });
    fs::write(&roster, worker.to_string()).unwrap();
    fs::write(&calendar, "worker_id,start\n").unwrap();
    let state = state(&roster, Some(&calendar)).unwrap();
    let config = ValidationConfig::default();
    let validators = Validators::with_rules(&config, state.tables(), &[]).unwrap();
    let fills = json!({"fills": [{"worker_id": "W-1", "name": "Ann Lee", "start": "2027-01-04"}]});
    let verdict = || {
        validators
            .run("fill", &fills, &Value::Null)
            .unwrap()
            .verdict
    };
    assert_eq!(verdict(), Verdict::Pass);
    fs::write(&calendar, "worker_id,start\nW-1,2027-01-04\n").unwrap();
    state.read_files(false, 2);
    assert_eq!(verdict(), Verdict::Repairable);
    fs::write(&roster, worker.to_string().replace("W-1", "W-11")).unwrap();
    state.read_files(false, 3);
    assert_eq!(verdict(), Verdict::Fail);
}

#[test]
fn columns_that_are_maps_or_have_parts_are_refused() {
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roster.parquet");
    let read = |column: &str| {
        let text = |name: &str| format!("required binary {name} (STRING);");
        let required = ["worker_id", "name", "role", "city", "state", "status"].map(text);
        let schema = format!("message roster {{ {} {column} }}", required.concat());
        let schema = Arc::new(parse_message_type(&schema).unwrap());
        let file = fs::File::create(&path).unwrap();
        let writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
        writer.close().unwrap();
        read_table::<Roster>(&path)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    let item = "optional binary element (STRING);";
    let list = |name: &str, item: &str| {
        format!("optional group {name} (LIST) {{ repeated group list {{ {item} }} }}")
    };
    read(&list("barred_clients", item)).unwrap();
    read("optional group own { required int32 a; required int32 b; }").unwrap();
    for column in [
        "optional group barred_clients (MAP) { repeated group key_value { required binary key (STRING); optional int32 value; } }",
        "optional group certificates { required binary name (STRING); }",
        &list(
            "certificates",
            "optional group element { optional binary name (STRING); optional binary expires (STRING); }",
        ),
        &list(
            "certificates",
            "optional group element { optional binary name (STRING); }",
        ),
    ] {
        let error = read(column).unwrap_err();
        assert!(error.contains("is a map or has parts"), "{column}: {error}");
    }
}

#[test]
fn a_start_with_a_bad_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roster.csv");
    assert!(state(&path, None).unwrap_err().contains("cannot be read"));
    fs::write(&path, format!("{HEADER}W-1,Ann Lee,welder,Gary,,active\n")).unwrap();
    let error = state(&path, None).unwrap_err();
    assert!(error.ends_with("line 2, column state: is empty"), "{error}");
    let roster = folder.path().join("roster.parquet");
    fs::write(&roster, "PAR1 this is none PAR1").unwrap();
    let error = read_table::<Roster>(&roster).unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
}
