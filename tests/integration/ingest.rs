//! Folders of files of every kind.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Api, Process, command, finish};

fn ingest(process: &Process, arguments: &[&str]) -> (Option<i32>, String) {
    let url = format!("http://{}", process.address);
    let command = &mut command();
    let (status, shown, said) = finish(command.arg("ingest").args(arguments).args(["--url", &url]));
    (status, shown + &said)
}

fn ask<T>(process: &Process, test: impl AsyncFnOnce(Api) -> T) -> T {
    actix_web::rt::System::new().block_on(test(Api::new(process.address)))
}

/// All passages, by id.
fn passages(process: &Process) -> Vec<(String, String, Value)> {
    let page = ask(process, async |api| {
        api.ok("/v1/collections/docs/points/scroll", json!({"limit": 1000}))
            .await
    });
    let points = page["points"].as_array().unwrap().iter();
    points
        .map(|point| {
            let id = point["id"].as_str().unwrap();
            let text = point["text"].as_str().unwrap();
            (id.to_owned(), text.to_owned(), point["payload"].clone())
        })
        .collect()
}

/// A PDF file of one page.
fn pdf(text: &str) -> Vec<u8> {
    let stream = format!("BT /F1 12 Tf 72 720 Td ({text}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [4 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R /Resources << /Font << /F1 3 0 R >> >> >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{stream}\nendstream", stream.len()),
    ];
    let mut file = "%PDF-1.4\n".to_owned();
    let mut places = String::new();
    for (at, object) in objects.iter().enumerate() {
        places.push_str(&format!("{:010} 00000 n \n", file.len()));
        file.push_str(&format!("{} 0 obj\n{object}\nendobj\n", at + 1));
    }
    let start = file.len();
    file.push_str(&format!(
        "xref\n0 6\n0000000000 65535 f \n{places}trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    ));
    file.into_bytes()
}

fn put(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    std::fs::write(folder.join(name), bytes).unwrap();
}

#[test]
fn files_of_every_kind_become_passages_and_broken_ones_are_told_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(&folder.path().join("data"));
    let docs = folder.path().join("docs");
    std::fs::create_dir(&docs).unwrap();
    put(&docs, "a.md", "# Ferry\nThe ferry leaves at nine.\n");
    put(
        &docs,
        "b.html",
        "<title>no</title><h1>Museum</h1><p>It opens at <b>ten</b>.</p><script>no</script>",
    );
    put(&docs, "c.pdf", pdf("The lighthouse was built in 1850."));
    put(&docs, "d.csv", "text,year\nA rope of hemp,1901\n");
    put(
        &docs,
        "e.jsonl",
        "{\"id\": \"e\", \"text\": \"The harbour is deep\"}\n",
    );
    put(&docs, "broken.pdf", "no PDF at all");
    put(&docs, "broken.txt", b"\xff");
    put(&docs, "picture.png", "no text");
    put(&docs, "z.html", "<p>Read after the broken ones.</p>");
    let (status, said) = ingest(&process, &[docs.to_str().unwrap()]);
    assert_eq!(status, Some(1), "{said}");
    for part in [
        "6 passages in collection docs",
        "picture.png: not one of",
        "broken.pdf: ",
        "broken.txt: not UTF-8 at byte 0",
        "2 of 9 files could not be read",
    ] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    let all = passages(&process);
    let found = |text: &str| {
        let found = all.iter().find(|(_, own, _)| own == text);
        found.unwrap_or_else(|| panic!("{text} in {all:?}")).clone()
    };
    assert_eq!(found("The ferry leaves at nine.").2["heading"], "Ferry");
    assert_eq!(found("It opens at ten.").2["heading"], "Museum");
    let (id, _, payload) = found("The lighthouse was built in 1850.");
    assert!(id.ends_with("docs/c.pdf#0"), "{id}");
    assert_eq!(payload["heading"], "page 1");
    assert_eq!(found("A rope of hemp").2["year"], 1901);
    assert_eq!(found("The harbour is deep").0, "e");
    found("Read after the broken ones.");
}

#[test]
fn what_is_there_is_left_alone_and_what_has_changed_replaces_its_passages() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(&folder.path().join("data"));
    let docs = folder.path().join("some docs #1");
    std::fs::create_dir(&docs).unwrap();
    let docs_text = docs.to_str().unwrap();
    put(
        &docs,
        "a%20ü.md",
        "# One\nThe ferry leaves.\n# Two\nThe museum opens.\n# Three\nThe rope holds.\n",
    );
    put(&docs, "b.md", "The lighthouse shines.\n");
    let (status, said) = ingest(&process, &[docs_text]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("4 passages in collection docs"), "{said}");
    let first = passages(&process);
    // Nothing is sent again.
    let (status, said) = ingest(&process, &[docs_text]);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("0 passages in collection docs; 2 documents are as they were"),
        "{said}"
    );
    assert_eq!(passages(&process), first);
    // One changes and gets shorter.
    put(&docs, "a%20ü.md", "# One\nThe ferry waits.\n");
    let (status, said) = ingest(&process, &[docs_text]);
    assert_eq!(status, Some(0), "{said}");
    for part in [
        "removed 2 passages",
        "1 passage in collection docs; one document is as it was",
    ] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    let texts: Vec<String> = passages(&process).into_iter().map(|one| one.1).collect();
    assert_eq!(texts, ["The ferry waits.", "The lighthouse shines."]);
    // A document that is not whole is taken again: the first passage says so.
    ask(&process, async |api| {
        let id = format!("{docs_text}/b.md#0");
        let point =
            json!({"id": id, "text": "The lighthouse", "payload": {"source": "b", "chunk": 0}});
        api.ok("/v1/collections/docs/points", json!({"points": [point]}))
            .await;
    });
    let (_, said) = ingest(&process, &[docs_text]);
    assert!(
        said.contains("1 passage in collection docs; one document is as it was"),
        "{said}"
    );
    let texts: Vec<String> = passages(&process).into_iter().map(|one| one.1).collect();
    assert_eq!(texts, ["The ferry waits.", "The lighthouse shines."]);
}

#[test]
fn a_table_says_which_columns_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(&folder.path().join("data"));
    put(folder.path(), "t.csv", "key;body\n7;The ferry leaves\n");
    let file = folder.path().join("t.csv");
    let file = file.to_str().unwrap();
    let (status, said) = ingest(&process, &[file]);
    assert_eq!(status, Some(1));
    assert!(
        said.contains("no column \"text\"; there are: key, body"),
        "{said}"
    );
    let (status, said) = ingest(
        &process,
        &[file, "--text-column", "body", "--id-column", "key"],
    );
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(passages(&process)[0].0, "7");
}
