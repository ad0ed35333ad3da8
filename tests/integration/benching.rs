use crate::harness::{Process, command, finish};

fn bench(arguments: &[&str]) -> (Option<i32>, String, String) {
    finish(command().arg("bench").args(arguments))
}

#[test]
fn a_running_server_is_measured_closed_and_open() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let url = format!("http://{}", process.address);
    let short = ["--seconds", "1", "--warm-up", "0", "--json", "--url", &url];
    let cases: [(&[&str], usize); 4] = [
        (&["embed", "--connections", "1,3"], 2),
        (&["embed", "--cold", "--rate", "50"], 1),
        (&["chat", "--model", "extractive", "--stream"], 1),
        (&["request", "get", "/healthz"], 1),
    ];
    for (arguments, runs) in cases {
        let (status, told, said) = bench(&[arguments, &short].concat());
        assert_eq!(status, Some(0), "{arguments:?}: {said}");
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["runs"].as_array().unwrap().len(), runs, "{told}");
        for run in told["runs"].as_array().unwrap() {
            let answered = run["statuses"]["200"].as_u64().unwrap();
            assert!(answered > 0, "{run}");
            assert_eq!(run["failures"], serde_json::json!({}));
            let latency = |name: &str| run["latency_ms"][name].as_f64().unwrap();
            assert!(
                latency("p50") > 0.0 && latency("max") >= latency("p99"),
                "{run}"
            );
            assert_eq!(
                run.get("first_byte_ms").is_some(),
                arguments.contains(&"--stream")
            );
        }
        if arguments.contains(&"--rate") {
            // As many as fell due, and not as many as could be answered.
            let answered = told["runs"][0]["statuses"]["200"].as_u64().unwrap();
            assert!((40..=50).contains(&answered), "{told}");
        }
    }
}

#[test]
fn what_is_not_answered_with_success_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let url = format!("http://{}", process.address);
    let search = ["search", "--collection", "absent", "--url", &url];
    let short = ["--seconds", "1", "--warm-up", "0"];
    let (status, told, said) = bench(&[&search[..], &short].concat());
    assert_eq!(status, Some(1), "{told}");
    assert!(told.contains("answers of status 404"), "{told}");
    assert!(
        said.contains("no request was answered with success"),
        "{said}"
    );
    drop(process);
    let (status, _, said) = bench(&["embed", "--url", &url]);
    assert_eq!(status, Some(1));
    assert!(said.contains("no connection"), "{said}");
    for wrong in [
        &["embed", "--rate", "0"][..],
        &["embed", "--connections", "0"],
        &["request", "post", "v1/validate"],
        &["embed", "--url", "https://127.0.0.1:1"],
    ] {
        assert_ne!(bench(wrong).0, Some(0), "{wrong:?}");
    }
}
