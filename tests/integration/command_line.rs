use crate::harness::{command, finish};

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    finish(command().args(arguments).envs(environment.iter().copied()))
}

#[test]
fn help_shows_examples() {
    let (status, help, _) = run(&["--help"], &[]);
    assert_eq!(status, Some(0));
    assert!(
        help.contains("Examples:") && help.contains("boathouse demo"),
        "{help}"
    );
    assert_eq!(run(&["swim"], &[]).0, Some(2));
}

#[test]
fn wrong_settings_end_with_64_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    std::fs::write(&file, "[http]\nprot = 1\n").unwrap();
    let file = file.to_str().unwrap();
    type Pairs<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&[&str], Pairs, &str); 5] = [
        (&["serve", "--config", file], &[], "did you mean `port`"),
        (&["serve", "--config", "absent.toml"], &[], "absent.toml"),
        (&["serve", "--bind", "0.0.0.0"], &[], "API keys"),
        (&["serve"], &[("BOATHOUSE__HTTP__PORT", "many")], "port"),
        (
            &["config", "check"],
            &[("BOATHOUSE__HTTP__WORKERS", "9999")],
            "workers",
        ),
    ];
    for (arguments, environment, says) in cases {
        let (status, _, said) = run(arguments, environment);
        assert_eq!(status, Some(64), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}

#[test]
fn the_settings_in_force_are_shown_as_toml_that_can_be_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let (status, shown, _) = run(&["config", "show"], &[("BOATHOUSE__HTTP__PORT", "4321")]);
    assert_eq!(status, Some(0));
    assert!(shown.contains("port = 4321"), "{shown}");
    let file = folder.path().join("all.toml");
    std::fs::write(&file, &shown).unwrap();
    let (status, again, said) = run(&["config", "show", "--config", file.to_str().unwrap()], &[]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(again, shown);
}

#[test]
fn an_evaluation_set_is_measured_from_the_command_line() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo/trecqa");
    let args = [
        "eval",
        "embed",
        folder,
        "--refiner",
        "static-minilm",
        "--json",
    ];
    let (status, reports, said) = run(&args, &[]);
    assert_eq!(status, Some(0), "{said}");
    let reports: serde_json::Value = serde_json::from_str(&reports).unwrap();
    let found = &reports[0]["retrieval"];
    assert_eq!(found["queries"], 167);
    let ways: Vec<_> = (0..4).map(|at| &found["scores"][at]["way"]).collect();
    assert_eq!(ways, ["dense", "lexical", "hybrid", "refined"]);
    let (status, _, said) = run(&["eval", "embed", "/nonexistent"], &[]);
    assert_eq!(status, Some(1));
    assert!(said.contains("/nonexistent"), "{said}");
}

#[test]
fn the_tree_is_shown_in_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let process = crate::harness::Process::start(folder.path());
    let url = format!("http://{}", process.address);
    let (status, shown, said) = run(&["tree", "--url", &url], &[]);
    assert_eq!(status, Some(0), "{said}");
    for name in ["root", "├── storage", "evidence", "embedding", "ready"] {
        assert!(shown.contains(name), "{shown}");
    }
    drop(process);
    let (status, _, said) = run(&["tree", "--url", &url], &[]);
    assert_eq!(status, Some(1));
    assert!(said.contains("is the server running"), "{said}");
}

#[test]
fn the_demo_runs_twice_on_the_same_data_also_when_its_port_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for port in [port.as_str(), "0"] {
        let (status, shown, said) = run(&["demo", "--exit", "--port", port, "--data", data], &[]);
        assert_eq!(status, Some(0), "{shown}\n{said}");
        assert!(
            shown.contains("0 failed") && shown.contains("restarts 0 -> 1"),
            "{shown}"
        );
        assert_eq!(
            shown.contains("is taken; using a free port"),
            port != "0",
            "{shown}"
        );
    }
}

#[test]
fn a_folder_is_ingested_with_what_was_left_out_named() {
    let folder = tempfile::tempdir().unwrap();
    let process = crate::harness::Process::start(&folder.path().join("data"));
    let docs = folder.path().join("docs");
    std::fs::create_dir(&docs).unwrap();
    std::fs::write(docs.join("a.md"), "# Ferry\nThe ferry leaves at nine.\n").unwrap();
    std::fs::write(docs.join("b.png"), "no text").unwrap();
    let url = format!("http://{}", process.address);
    let arguments = [
        "ingest",
        docs.to_str().unwrap(),
        "--collection",
        "notes",
        "--url",
        &url,
    ];
    for passages in [
        "1 passage in collection notes",
        "0 passages in collection notes",
    ] {
        let (status, shown, said) = run(&arguments, &[]);
        assert_eq!(status, Some(0), "{said}");
        assert!(shown.contains(passages), "{shown}");
        assert!(said.contains("skipped") && said.contains("b.png"), "{said}");
    }
    let (status, _, said) = run(&["ingest", "/nonexistent", "--url", &url], &[]);
    assert_eq!(status, Some(1));
    assert!(said.contains("/nonexistent: there is no such"), "{said}");
    let other = [
        "ingest",
        "/nonexistent",
        "--collection",
        "a/b",
        "--url",
        &url,
    ];
    assert_eq!(run(&other, &[]).0, Some(2));
}

#[test]
fn passages_that_cannot_be_stored_are_named_and_a_shorter_file_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let process = crate::harness::Process::start(&folder.path().join("data"));
    let url = format!("http://{}", process.address);
    let file = folder.path().join("a.md");
    let ingest = |text: &str| {
        std::fs::write(&file, text).unwrap();
        run(&["ingest", file.to_str().unwrap(), "--url", &url], &[])
    };
    // The middle one has no word that the embedder knows.
    let wall = "x".repeat(850);
    let long = format!("# One\nThe ferry leaves.\n# Two\n{wall}\n# Three\nThe museum opens.\n");
    let (status, shown, said) = ingest(&long);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        shown.contains("2 passages in collection docs, 1 skipped"),
        "{shown}"
    );
    assert!(
        said.contains("a.md#1: ") && said.contains("has no words"),
        "{said}"
    );
    let (status, shown, said) = ingest("# One\nThe ferry leaves.\n");
    assert_eq!(status, Some(0), "{said}");
    assert!(shown.contains("1 passage in collection docs"), "{shown}");
    assert!(said.contains("removed 1 passage"), "{said}");
    let (status, _, said) = ingest("");
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("removed 1 passage"), "{said}");
    let (status, _, said) = ingest("");
    assert_eq!(status, Some(1));
    assert!(said.contains("nothing to ingest"), "{said}");
}

#[test]
fn evidence_becomes_datasets_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let process = crate::harness::Process::start(folder.path());
    let url = format!("http://{}", process.address);
    let asked = |arguments: &[&str]| run(&[arguments, &["--url", &url]].concat(), &[]);

    let (status, _, said) = asked(&["export", "sft"]);
    assert_eq!(status, Some(1));
    assert!(said.contains("materialize first"), "{said}");

    let (status, shown, said) = asked(&["materialize"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(shown.contains("0 tasks of 0 records"), "{shown}");
    let (_, receipt, _) = asked(&["materialize", "--json"]);
    let receipt: serde_json::Value = serde_json::from_str(&receipt).unwrap();
    assert_eq!(receipt["unchanged"], true);

    let (status, shown, said) = asked(&["export", "preference", "--flavour", "openai"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(shown.contains("preference-openai: 0 rows"), "{shown}");
    assert!(said.contains("no answered chat completions"), "{said}");
    let wrong: [(&[&str], &str); 3] = [
        (&["export", "kto", "--flavour", "openai"], "it has trl"),
        (&["export", "poem"], "rag, triplets, sft, preference, kto"),
        (&["export", "sft", "--test-fraction", "0.9"], "0 to 0.5"),
    ];
    for (arguments, says) in wrong {
        let (status, _, said) = asked(arguments);
        assert_eq!(status, Some(1), "{arguments:?}");
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
    let (status, shown, _) = asked(&["export", "--list"]);
    assert_eq!(status, Some(0));
    assert_eq!(shown.lines().count(), 1, "{shown}");
    assert!(shown.starts_with("preference-openai"), "{shown}");
}
