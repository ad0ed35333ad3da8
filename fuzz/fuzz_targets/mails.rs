#![no_main]

use std::sync::LazyLock;

use boathouse::engines::validation::{
    DEMO_ROSTER, Roster, ValidationConfig, Validators, pii, secrets,
};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

static VALIDATORS: LazyLock<Validators> = LazyLock::new(|| {
    Validators::new(
        &ValidationConfig::default(),
        Roster::parse_csv(DEMO_ROSTER).unwrap(),
    )
    .unwrap()
});

// Each part of a mail, and the finders behind `pii` and `secrets`: any text gets a verdict.
fuzz_target!(|input: (&str, &str, &str, &str, &str, &str)| {
    let (to, subject, body, html, attachment, allowed) = input;
    let payload = json!({
        "to": to, "subject": subject, "body": body, "html": html, "attachments": [attachment],
    });
    let context = json!({"allowed_domains": [allowed]});
    let report = VALIDATORS.run("email", &payload, &context).unwrap();
    assert!(
        report
            .findings
            .iter()
            .all(|finding| finding.message.len() < 2_000)
    );
    for text in [body, html] {
        for found in pii::find(text) {
            assert!(text.get(found.span).is_some());
        }
        for found in secrets::find(text) {
            assert!(text.get(found.span).is_some());
        }
    }
});
