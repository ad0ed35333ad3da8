use proptest::prelude::*;
use serde_json::{Value, json};

use crate::engines::validation::{Roster, ValidationConfig, Validators};
use crate::types::validation::{Report, Verdict};

const ROSTER: &str = "worker_id,name,role,city,state,status\n\
                      W-1001,Maria Alvarez,welder,Joliet,IL,active\n";

fn run(payload: &Value, context: &Value) -> Report {
    let mut config = ValidationConfig::default();
    config.email.max_subject = 60;
    config.email.max_body = 2_000;
    let validators = Validators::new(&config, Roster::parse_csv(ROSTER).unwrap()).unwrap();
    validators.run("email", payload, context).unwrap()
}

/// A good mail, with `fields` put over it.
fn mail(fields: Value) -> Value {
    let mut mail = json!({
        "to": "maria@example.com",
        "subject": "Your shift on March 2",
        "body": "Dear Maria,\n\nyour shift starts at 06:00 on 2026-03-02. Call (312) 555-0187.\n",
    });
    mail.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    mail
}

/// Runs a mail in `context` and compares rules (without the prefix) with paths, and the verdict.
fn check(fields: Value, context: Value, expected: &[(&str, &str)]) -> Report {
    let report = run(&mail(fields.clone()), &context);
    let found: Vec<(&str, &str)> = report
        .findings
        .iter()
        .map(|found| {
            (
                found.rule.strip_prefix("email.").unwrap(),
                found.path.as_str(),
            )
        })
        .collect();
    assert_eq!(found, expected, "{fields} in {context}: {report:#?}");
    let critical = [
        "shape",
        "context",
        "recipient_domain",
        "header_injection",
        "pii",
        "secret",
        "link_scheme",
        "attachment",
        "recipient_lookalike",
        "link_lookalike",
        "html_active",
    ];
    let warnings = [
        "unknown_field",
        "recipient_duplicate",
        "link_suspicious",
        "link_shortener",
        "tracking",
        "remote_content",
        "attachment_suspicious",
    ];
    let verdict = if expected.iter().any(|(rule, _)| critical.contains(rule)) {
        Verdict::Fail
    } else if expected.iter().any(|(rule, _)| !warnings.contains(rule)) {
        Verdict::Repairable
    } else {
        Verdict::Pass
    };
    assert_eq!(report.verdict, verdict, "{fields} in {context}");
    report
}

#[test]
fn a_good_mail_passes() {
    let context = json!({
        "worker_id": "W-1001", "max_subject": 60, "max_body": 2000,
        "allowed_domains": ["example.com"], "note": "ignored",
    });
    let fields = json!({
        "to": ["Maria Alvarez <maria@example.com>", "hr@jobs.example.com"],
        "cc": null,
        "html": "<p>Dear Maria, see <a href=\"https://example.com/s\">this</a></p>",
        "attachments": ["schedule.pdf", "map.png", "notes"],
    });
    check(fields, context, &[]);
    check(json!({}), json!(null), &[]);
}

#[test]
fn wrong_shapes_are_findings() {
    for payload in [json!(null), json!([]), json!("mail"), json!(3)] {
        let report = run(&payload, &json!({}));
        assert_eq!(
            (report.findings.len(), report.verdict),
            (1, Verdict::Fail),
            "{payload}"
        );
        assert_eq!(
            (
                report.findings[0].rule.as_str(),
                report.findings[0].path.as_str()
            ),
            ("email.shape", "")
        );
    }
    let cases: &[(Value, &[(&str, &str)])] = &[
        (json!({"to": 5}), &[("shape", "/to")]),
        (json!({"to": null}), &[("shape", "/to")]),
        (json!({"to": ["maria@example.com", 7]}), &[("shape", "/to")]),
        (json!({"cc": {}}), &[("shape", "/cc")]),
        (json!({"subject": ["x"]}), &[("shape", "/subject")]),
        (json!({"body": null}), &[("shape", "/body")]),
        (json!({"html": true}), &[("shape", "/html")]),
        (
            json!({"attachments": "a.pdf"}),
            &[("shape", "/attachments")],
        ),
        (
            json!({"attachements": []}),
            &[("misspelt_field", "/attachements")],
        ),
        (
            json!({"priority": "high"}),
            &[("unknown_field", "/priority")],
        ),
    ];
    for (fields, expected) in cases {
        check(fields.clone(), json!({}), expected);
    }
    let many = vec!["maria@example.com"; 2_000];
    let report = run(&mail(json!({"to": many})), &json!({}));
    assert_eq!(report.verdict, Verdict::Fail);
    assert!(
        report.findings[0]
            .message
            .contains("2000 items, the limit is 1000")
    );
}

#[test]
fn a_context_that_cannot_be_checked_fails() {
    for context in [
        json!("x"),
        json!({"worker_id": "W-9"}),
        json!({"worker_id": 1001}),
        json!({"max_body": 1.5}),
        json!({"allowed_domains": "example.com"}),
        json!({"alowed_domains": ["example.com"]}),
    ] {
        check(json!({}), context, &[("context", "")]);
    }
}

#[test]
fn recipients_are_addresses_that_are_allowed() {
    let allowed = json!({"allowed_domains": ["example.com", "partner.org"]});
    let cases: &[(Value, &[(&str, &str)])] = &[
        (json!({"to": ""}), &[("recipient_missing", "/to")]),
        (json!({"to": [" , "]}), &[("recipient_missing", "/to")]),
        (json!({"to": []}), &[("recipient_missing", "/to")]),
        (json!({"to": "maria"}), &[("recipient_invalid", "/to")]),
        (
            json!({"to": ["maria@example.com", "@example.com"]}),
            &[("recipient_invalid", "/to/1")],
        ),
        (
            json!({"to": "maria@localhost"}),
            &[("recipient_invalid", "/to")],
        ),
        (
            json!({"to": "maria@[10.0.0.1]"}),
            &[("recipient_invalid", "/to")],
        ),
        (
            json!({"to": "maria@example.com, x@evil.io"}),
            &[("recipient_domain", "/to")],
        ),
        (
            json!({"cc": ["x@evil.io"]}),
            &[("recipient_domain", "/cc/0")],
        ),
        (
            json!({"cc": "x@example.com.evil.io"}),
            &[("recipient_domain", "/cc"), ("recipient_lookalike", "/cc")],
        ),
        (
            json!({"cc": "Maria <x@evil-example.com>"}),
            &[("recipient_domain", "/cc")],
        ),
        // A display name cannot smuggle a second recipient past the list.
        (
            json!({"cc": ["x@evil.io, Maria <m@example.com>"]}),
            &[("recipient_domain", "/cc/0")],
        ),
        (
            json!({"cc": ["Maria@EXAMPLE.com"]}),
            &[("recipient_duplicate", "/cc/0")],
        ),
        (json!({"cc": "a@sub.partner.org"}), &[]),
        (
            json!({"cc": "a@examp1e.com"}),
            &[("recipient_domain", "/cc"), ("recipient_lookalike", "/cc")],
        ),
        (
            json!({"cc": "\"hr@example.com\" <b@example.com>"}),
            &[("recipient_disguised", "/cc")],
        ),
        (json!({"cc": "\"b@example.com\" <b@example.com>"}), &[]),
        (
            json!({"cc": "Crew: a@example.com, Bo (night) <b@example.com>;"}),
            &[],
        ),
        (json!({"cc": "\"a b\"@example.com"}), &[]),
        (
            json!({"cc": "\"maria\"@example.com"}),
            &[("recipient_duplicate", "/cc")],
        ),
        (
            json!({"cc": "<a@example.com> b@example.com"}),
            &[("recipient_invalid", "/cc")],
        ),
        (
            json!({"cc": "a@exa mple.com"}),
            &[("recipient_invalid", "/cc")],
        ),
    ];
    for (fields, expected) in cases {
        check(fields.clone(), allowed.clone(), expected);
    }
    check(
        json!({"cc": "x@evil.io"}),
        json!({"allowed_domains": []}),
        &[],
    );
}

#[test]
fn domains_are_compared_as_resolvers_see_them() {
    let allowed = json!({"allowed_domains": ["b\u{fc}cher.example"]});
    let to = |address: &str| json!({"to": address});
    check(to("a@xn--bcher-kva.example"), allowed.clone(), &[]);
    check(to("a@B\u{dc}CHER.example"), allowed, &[]);
    let report = check(
        to("a@\u{430}pple.com"),
        json!({}),
        &[("recipient_lookalike", "/to")],
    );
    assert!(
        report.findings[0].message.contains("xn--pple-43d.com"),
        "{report:?}"
    );
    // Whom a mail goes to is whom its links could pretend to be.
    let mail = json!({"to": "a@northgate.com", "body": "see https://northgate.com.pay.io/x"});
    check(mail, json!({}), &[("link_lookalike", "/body")]);
    let mail = json!({"to": "a@gmail.com", "body": "see https://mail.com/x"});
    check(mail, json!({}), &[]);
}

#[test]
fn html_is_judged_by_what_it_does() {
    let cases: &[(&str, &[&str])] = &[
        ("<p onclick='x()'>a</p>", &["html_active"]),
        ("<script>x()</script>", &["html_active"]),
        (
            "<form action='https://example.com/x'><input></form>",
            &["html_form"],
        ),
        (
            "<p style='font-size:0'>ignore all of it</p>",
            &["hidden_text"],
        ),
        ("pass\u{200b}word", &["hidden_text"]),
        (
            "<img src='https://t.io/x.gif' width=1 height=1>",
            &["tracking"],
        ),
        (
            "<img src='https://t.io/x.png' width=100>",
            &["remote_content"],
        ),
        ("<a href='https://a.io'>https://b.io</a>", &["link_text"]),
        ("<style>a[href]{b:{c}}</style><img src='cid:x'>", &[]),
        ("<b>4111</b> 1111 <i>1111 1111</i>", &["pii"]),
        ("<p title='SSN 536-22-8726'>x</p>", &["pii"]),
        ("<!-- SSN 536-22-8726 -->", &["pii"]),
        ("<a href='https://a.io/?n={{name}}'>x</a>", &["placeholder"]),
        ("Dear <<First Name>>", &["placeholder"]),
    ];
    for (html, rules) in cases {
        let expected: Vec<_> = rules.iter().map(|rule| (*rule, "/html")).collect();
        check(json!({ "html": html }), json!({}), &expected);
    }
    let html = "<p>Dear Maria,</p><p>your shift starts at 07:00 on 2026-03-02.</p>";
    check(
        json!({ "html": html }),
        json!({}),
        &[("html_differs", "/html")],
    );
}

#[test]
fn a_context_cannot_widen_the_domains_of_the_config() {
    let mut config = ValidationConfig::default();
    config.email.allowed_domains = vec!["example.com".to_owned()];
    let validators = Validators::new(&config, Roster::parse_csv(ROSTER).unwrap()).unwrap();
    let verdict = |context: Value, to: &str| {
        validators
            .run("email", &mail(json!({"to": to})), &context)
            .unwrap()
            .verdict
    };
    assert_eq!(verdict(json!({}), "a@example.com"), Verdict::Pass);
    assert_eq!(
        verdict(json!({"allowed_domains": ["evil.io"]}), "a@evil.io"),
        Verdict::Fail
    );
    let narrower = json!({"allowed_domains": ["hr.example.com"]});
    assert_eq!(verdict(narrower.clone(), "a@example.com"), Verdict::Fail);
    assert_eq!(verdict(narrower, "a@hr.example.com"), Verdict::Pass);
}

#[test]
fn headers_cannot_be_injected() {
    let bcc = "x\r\nBcc: everyone@evil.io";
    check(
        json!({"subject": bcc}),
        json!({}),
        &[("header_injection", "/subject")],
    );
    check(
        json!({"subject": "a\u{2028}b"}),
        json!({}),
        &[("header_injection", "/subject")],
    );
    check(
        json!({"to": "maria@example.com\nBcc: x@evil.io"}),
        json!({}),
        &[("header_injection", "/to"), ("recipient_invalid", "/to")],
    );
    check(
        json!({"cc": ["M\r\n <m@example.com>"]}),
        json!({}),
        &[("header_injection", "/cc/0")],
    );
    check(
        json!({"subject": "tab\tand accents é are fine"}),
        json!({}),
        &[],
    );
}

#[test]
fn texts_are_within_bounds() {
    let cases: &[(Value, &[(&str, &str)])] = &[
        (json!({"subject": " \t"}), &[("subject_empty", "/subject")]),
        (
            json!({"subject": "é".repeat(61)}),
            &[("subject_long", "/subject")],
        ),
        (json!({"subject": "é".repeat(60)}), &[]),
        (json!({"body": "\n \n"}), &[("body_empty", "/body")]),
        (json!({"body": "", "html": "<p>text</p>"}), &[]),
        (
            json!({"body": "é".repeat(2_001)}),
            &[("body_long", "/body")],
        ),
        (
            json!({"html": "é".repeat(2_001)}),
            &[("body_long", "/html")],
        ),
        (json!({"body": "é".repeat(2_000)}), &[]),
    ];
    for (fields, expected) in cases {
        check(fields.clone(), json!({}), expected);
    }
    let report = check(
        json!({}),
        json!({"max_subject": 5}),
        &[("subject_long", "/subject")],
    );
    assert_eq!(report.findings[0].message, "21 characters, the limit is 5");
    let wider = json!({"max_subject": 500});
    check(
        json!({"subject": "x".repeat(61)}),
        wider,
        &[("subject_long", "/subject")],
    );
}

#[test]
fn what_must_not_leak_is_found_and_not_repeated() {
    let token = format!("ghp_{}", "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1eF3gH5");
    let cases = [
        ("body", "SSN 536-22-8726", "536-22-8726", "pii"),
        (
            "subject",
            "Card 4111 1111 1111 1111",
            "4111 1111 1111 1111",
            "pii",
        ),
        (
            "html",
            "<b>DE89 3704 0044 0532 0130 00</b>",
            "3704 0044 0532 0130",
            "pii",
        ),
        ("body", "routing number: 021000021", "021000021", "pii"),
        (
            "body",
            &format!("use {token} today"),
            token.as_str(),
            "secret",
        ),
        ("body", "the password: Tr0ub4dor&3", "Tr0ub4dor&3", "secret"),
    ];
    for (field, text, hidden, rule) in cases {
        let path = format!("/{field}");
        let report = check(json!({ field: text }), json!({}), &[(rule, path.as_str())]);
        let shown = serde_json::to_string(&report).unwrap();
        assert!(!shown.contains(hidden), "{shown}");
    }
    let report = run(
        &mail(json!({"cc": format!("{token} x"), &token: 1})),
        &json!({}),
    );
    assert_eq!(report.findings.len(), 2);
    assert!(
        !serde_json::to_string(&report)
            .unwrap()
            .contains(&token[8..]),
        "{report:?}"
    );
    // Many findings of one rule are cut.
    let report = run(
        &mail(json!({"body": "SSN 536-22-8726\n".repeat(100)})),
        &json!({}),
    );
    assert_eq!(report.findings.len(), 20);
}

#[test]
fn leftovers_links_names_and_attachments_are_found() {
    let of_maria = json!({"worker_id": "W-1001", "allowed_domains": ["example.com"]});
    let cases: &[(Value, &[(&str, &str)])] = &[
        (
            json!({"subject": "Welcome {{name}}"}),
            &[("placeholder", "/subject")],
        ),
        (
            json!({"body": "Dear [Your Name], hello"}),
            &[("placeholder", "/body")],
        ),
        (
            json!({"html": "<p>Lorem ipsum</p>"}),
            &[("placeholder", "/html")],
        ),
        (
            json!({"body": "Dear Bob,\nhello"}),
            &[("name_mismatch", "/body")],
        ),
        (
            json!({"body": "https://evil.io/x"}),
            &[("link_domain", "/body")],
        ),
        (
            json!({"html": "<a href='javascript:x()'>x</a>"}),
            &[("link_scheme", "/html")],
        ),
        (
            json!({"html": "<a href='/x'>x</a>"}),
            &[("link_scheme", "/html")],
        ),
        (
            json!({"attachments": ["a.pdf", "invoice.pdf.EXE"]}),
            &[("attachment", "/attachments/1")],
        ),
        (
            json!({"attachments": ["run.bat. "]}),
            &[("attachment", "/attachments/0")],
        ),
        (
            json!({"attachments": ["../etc/passwd"]}),
            &[("attachment", "/attachments/0")],
        ),
        (
            json!({"attachments": ["a\u{202e}fdp.png"]}),
            &[("attachment", "/attachments/0")],
        ),
        (
            json!({"attachments": [""]}),
            &[("attachment", "/attachments/0")],
        ),
        (
            json!({"attachments": ["com", "a.company", "report.2026.pdf"]}),
            &[],
        ),
    ];
    for (fields, expected) in cases {
        check(fields.clone(), of_maria.clone(), expected);
    }
    check(
        json!({"body": "http://10.0.0.1/x"}),
        json!({}),
        &[("link_suspicious", "/body")],
    );
    // Without a worker in the context nobody knows who should be greeted.
    check(json!({"body": "Dear Bob,\nhello"}), json!({}), &[]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn any_text_in_any_part_gets_a_verdict(
        to in "([a-z@<>(),;:\"\\\\. ]|\u{e9}|\\PC){0,24}",
        subject in "(=\\?utf-8\\?[qb]\\?|\\?=|%0[ad]|\\\\[rn]|&#1[03];|Bcc:|\\PC){0,12}",
        body in "(https?://|www\\.|[a-z.:/@%]{1,8}|\\{\\{|\\}\\}|`{1,3}|\\[|\\]|<%|\u{200b}|\u{430}|xn--|\\n|\\PC){0,24}",
        html in "(</?(p|a|div|style|script|img|font|td)[ >]|href=|style=|['\">]|display:none|<!--|-->|\\{|\\}|#fff|\\PC){0,40}",
        name in "([a-z.]{1,6}|\\.exe|\u{202e}|\u{435}|%0a|\\PC){0,8}",
    ) {
        let payload = json!({
            "to": to, "subject": subject, "body": body, "html": html, "attachments": [name],
        });
        let report = run(&payload, &json!({"allowed_domains": ["example.com", to]}));
        for finding in &report.findings {
            prop_assert!(finding.message.len() < 2_000, "{}", finding.message.len());
        }
        prop_assert!(report.findings.len() < 400);
    }
}

#[test]
fn a_thousand_recipients_are_judged() {
    let to: Vec<String> = (0..1_500).map(|at| format!("a{at}@example.com")).collect();
    let mail = json!({"to": to.join(", "), "subject": "s", "body": "b"});
    let findings = run(&mail, &json!({})).findings;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].message.contains("more than 1000 recipients"));
}
