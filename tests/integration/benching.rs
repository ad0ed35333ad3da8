use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use boathouse::services::keys::{NewKey, make};
use boathouse::types::api_key::Scope;

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
        &["embed", "--rate", "1e-300"],
        &["embed", "--connections", "0"],
        &["request", "post", "v1/validate"],
        &["embed", "--url", "https://127.0.0.1:1"],
    ] {
        assert_ne!(bench(wrong).0, Some(0), "{wrong:?}");
    }
}

#[test]
fn a_server_with_keys_is_asked_with_the_one_of_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = NewKey {
        name: "load".to_owned(),
        scopes: Scope::ALL.to_vec(),
        expires_in_ms: None,
        requests_per_minute: None,
        tokens_per_day: None,
    };
    let key = make(folder.path(), wanted).unwrap().key;
    let process = Process::start(folder.path());
    let url = format!("http://{}", process.address);
    let load = [
        "bench",
        "embed",
        "--seconds",
        "1",
        "--warm-up",
        "0",
        "--url",
        &url,
    ];
    let (status, _, said) = finish(command().args(load).env("BOATHOUSE_API_KEY", key));
    assert_eq!(status, Some(0), "{said}");
    let (status, told, _) = finish(command().args(load));
    assert!(told.contains("answers of status 401"), "{told}");
    assert_eq!(status, Some(1));
}

/// Answers the first request of each connection, and no other.
fn answers_once(listener: &TcpListener) {
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { return };
        let mut asked = [0; 4_096];
        if !matches!(stream.read(&mut asked), Ok(1..)) {
            return;
        }
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        stream.write_all(answer.as_bytes()).unwrap();
        // Until the other side gives up.
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

#[test]
fn an_open_loop_ends_with_its_time_and_tells_what_it_could_not_send() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || answers_once(&listener));
    let url = format!("http://{address}");
    let load = [
        "embed",
        "--rate",
        "100",
        "--connections",
        "1",
        "--seconds",
        "1",
        "--warm-up",
        "0",
        "--timeout",
        "2",
        "--json",
        "--url",
        &url,
    ];
    let (status, told, said) = bench(&load);
    assert_eq!(status, Some(0), "{said}");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let run = &told["runs"][0];
    // One was answered, the second hung past the end, and none came after it.
    assert_eq!(run["statuses"]["200"], 1, "{run}");
    assert_eq!(run["unsent"], 98, "{run}");
    assert_eq!(run["seconds"], 1.0, "{run}");
    assert_eq!(run["per_second"], 1.0, "{run}");
    let failures = run["failures"].as_object().unwrap();
    assert_eq!(
        failures.values().collect::<Vec<_>>(),
        [&serde_json::json!(1)],
        "{run}"
    );
    // An empty connection ends the server.
    drop(TcpStream::connect(address).unwrap());
    server.join().unwrap();
}
