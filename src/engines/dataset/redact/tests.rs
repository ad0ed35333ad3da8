use proptest::prelude::*;
use serde_json::json;

use super::*;

fn redactor() -> Redactor {
    Redactor::new(&RedactRules::default()).unwrap()
}

/// Each text with what it becomes; unchanged where the second is empty.
const TABLE: &[(&str, &str)] = &[
    // Mail addresses.
    ("write to Jo.Doe+x@mail.example.com.", "write to [EMAIL]."),
    ("jörg@exämple.de, a@b.co", "[EMAIL], [EMAIL]"),
    ("@handle and a@b", ""),
    // Telephone numbers.
    ("call 555-123-4567 now", "call [PHONE] now"),
    ("(555) 123-4567", "[PHONE]"),
    ("+1 (555) 123-4567", "[PHONE]"),
    ("1-800-555-0199.", "[PHONE]."),
    ("+442079460958 or +44 20 7946 0958", "[PHONE] or [PHONE]"),
    ("020 7946 0958", "[PHONE]"),
    ("06 12 34 56 78", "[PHONE]"),
    ("555.123.4567", "[PHONE]"),
    ("on 2024-01-15 at 10:30:00", ""),
    ("2023 2024 2025", ""),
    ("host 192.168.100.200", ""),
    ("id 550e8400-1234-5678-9012-446655440000", ""),
    ("version 1.2.3, pi 3.14159, 1,000,000", ""),
    ("bolts M10 x 100, 12 of 5000", ""),
    // Payment cards.
    ("card 4111 1111 1111 1111", "card [CARD]"),
    ("4111-1111-1111-1111", "[CARD]"),
    ("378282246310005", "[CARD]"),
    (
        "order 12345 4111111111111111 done",
        "order 12345 [CARD] done",
    ),
    ("4111111111111111 5500005555555559", "[CARD] [CARD]"),
    ("4111111111111112", ""),
    ("0000000000000000", ""),
    ("a4111111111111111", ""),
    ("14111111111111111", ""),
    ("at 1700000000000 ms", ""),
    // Social security numbers.
    ("SSN 123-45-6789", "SSN [SSN]"),
    (
        "000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000",
        "",
    ),
    ("1123-45-6789", ""),
    // Secrets.
    ("key sk-proj-abcDEF1234567890abcd", "key [SECRET]"),
    ("sk_live_51abcDEF1234567890", "[SECRET]"),
    ("pk_customer_billing_address", ""),
    ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "[SECRET]"),
    ("AKIAIOSFODNN7EXAMPLE", "[SECRET]"),
    ("AIzaSyA0123456789abcdefghijklmnopqrstuv", "[SECRET]"),
    ("xoxb-1234567890-abcdef", "[SECRET]"),
    (
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0xx.c2lnbmF0dXJl",
        "[SECRET]",
    ),
    ("password = \"hunter22x\"", "password = \"[SECRET]\""),
    (
        "{\"api_key\": \"abcd1234efgh\"}",
        "{\"api_key\": \"[SECRET]\"}",
    ),
    (
        "Authorization: Bearer abcdef0123456789abcdef",
        "Authorization: Bearer [SECRET]",
    ),
    ("password: required", ""),
    ("the token economy", ""),
    (
        "x -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- y",
        "x [SECRET] y",
    ),
    ("-----BEGIN PRIVATE KEY-----\ncut off", "[SECRET]"),
    // Left alone.
    ("", ""),
    ("[EMAIL] [PHONE] [CARD] [SSN] [SECRET]", ""),
];

#[test]
fn the_table() {
    for (text, expected) in TABLE {
        let expected = if expected.is_empty() { text } else { expected };
        assert_eq!(redactor().text(text), *expected, "{text:?}");
    }
}

#[test]
fn replacements_are_counted_and_can_be_switched_off() {
    let text = "a@b.co c@d.co 4111111111111111 123-45-6789";
    let mut all = redactor();
    all.text(text);
    let expected = [
        ("card", 1),
        ("email", 2),
        ("phone", 0),
        ("secret", 0),
        ("ssn", 1),
    ];
    assert_eq!(*all.counts(), Redactions::from(expected));
    let mut some = Redactor::new(&RedactRules {
        email: false,
        ..RedactRules::default()
    })
    .unwrap();
    assert_eq!(some.text(text), "a@b.co c@d.co [CARD] [SSN]");
    assert!(!some.counts().contains_key("email"));
}

#[test]
fn rows_keep_their_links_and_arguments_stay_json() {
    let mut row = json!({
        "messages": [{
            "role": "assistant",
            "content": "ask a@b.co",
            "tool_calls": [{"id": "555-123-4567", "function": {
                "name": "pay",
                "arguments": "{\"card\":4111111111111111,\"to\":[\"a@b.co\"],\"n\":1.50}"}}],
        }],
        "score": 4_111_111_111_111_111_u64,
    });
    redactor().row(&mut row);
    assert_eq!(
        row,
        json!({
            "messages": [{
                "role": "assistant",
                "content": "ask [EMAIL]",
                "tool_calls": [{"id": "555-123-4567", "function": {
                    "name": "pay",
                    "arguments": "{\"card\":\"[CARD]\",\"to\":[\"[EMAIL]\"],\"n\":1.5}"}}],
            }],
            "score": 4_111_111_111_111_111_u64,
        })
    );
    let mut broken = json!({"arguments": "{\"to\": \"a@b.co\"", "n": "{ \"n\": 1.50 }"});
    redactor().row(&mut broken);
    assert_eq!(
        broken,
        json!({"arguments": "{\"to\": \"[EMAIL]\"", "n": "{ \"n\": 1.50 }"})
    );
}

#[test]
fn long_hostile_texts_take_linear_time() {
    for unit in [
        "4111111111111111 ",
        "1 ",
        "555-",
        "eyJ-AKIA",
        "-----BEGIN PRIVATE KEY",
        "a@",
        "(",
    ] {
        let text = unit.repeat(100_000 / unit.len());
        redactor().text(&text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn counts_tell_whether_a_text_was_changed(text in "[ -~é\\n]{0,200}") {
        let mut redactor = redactor();
        let once = redactor.text(&text);
        let found: u64 = redactor.counts().values().sum();
        prop_assert_eq!(found == 0, once == text);
    }

    #[test]
    fn a_card_is_found_wherever_it_stands(before in "[a-z ]{0,20}", after in "[a-z ]{0,20}") {
        let text = format!("{before} 4111 1111 1111 1111 {after}");
        prop_assert!(redactor().text(&text).contains("[CARD]"));
    }
}
