use proptest::prelude::*;

use super::*;

fn kinds(text: &str) -> Vec<(PiiKind, &str)> {
    find(text)
        .into_iter()
        .map(|pii| (pii.kind, &text[pii.span]))
        .collect()
}

#[test]
fn numbers_of_people_are_found() {
    use PiiKind::{Card, Iban, Routing, Ssn};
    let cases: &[(&str, &[(PiiKind, &str)])] = &[
        ("SSN: 536-22-8726.", &[(Ssn, "536-22-8726")]),
        (
            "my social security number is 536228726",
            &[(Ssn, "536228726")],
        ),
        ("ssn 536 22 8726", &[(Ssn, "536 22 8726")]),
        ("id 5 536-22-8726", &[(Ssn, "536-22-8726")]),
        ("4111111111111111", &[(Card, "4111111111111111")]),
        ("(4111-1111-1111-1111)", &[(Card, "4111-1111-1111-1111")]),
        (
            "pay 5555 5555 5555 4444 12/27",
            &[(Card, "5555 5555 5555 4444")],
        ),
        (
            "cvv: 4111 1111 1111 1111 123",
            &[(Card, "4111 1111 1111 1111")],
        ),
        (
            "call 12 4111 1111 1111 1111",
            &[(Card, "4111 1111 1111 1111")],
        ),
        ("amex 3782 822463 10005", &[(Card, "3782 822463 10005")]),
        ("2223003122003222", &[(Card, "2223003122003222")]),
        (
            "nbsp 4111\u{a0}1111\u{a0}1111\u{a0}1111",
            &[(Card, "4111\u{a0}1111\u{a0}1111\u{a0}1111")],
        ),
        (
            "IBAN DE89370400440532013000",
            &[(Iban, "DE89370400440532013000")],
        ),
        (
            "DE89 3704 0044 0532 0130 00 BIC COBADEFF",
            &[(Iban, "DE89 3704 0044 0532 0130 00")],
        ),
        (
            "gb82 west 1234 5698 7654 32",
            &[(Iban, "gb82 west 1234 5698 7654 32")],
        ),
        ("routing number 021000021", &[(Routing, "021000021")]),
        ("021000021 (account to follow)", &[(Routing, "021000021")]),
        (
            "536-22-8726 and 4111111111111111",
            &[(Ssn, "536-22-8726"), (Card, "4111111111111111")],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(&kinds(text), expected, "{text}");
    }
}

#[test]
fn other_numbers_are_left_alone() {
    let quiet = [
        // Phones.
        "+1 415 555 2671 or (312) 555-0187, 312-555-0187, 1-800-555-0199",
        "+44 20 7946 0958, +49 30 901820, 0033 1 23 45 67 89, 555-12-34",
        "+4111111111111111",
        // Orders, tickets, tracking, hashes, UUIDs.
        "order 1234567890123456, PO-2026-004711, ticket 100200300",
        "tracking 9400 1000 0000 0000 0000 00, 1Z999AA10123456784",
        "id a4111111111111111f, req_4111111111111111, v4.1.1",
        "550e8400-e29b-41d4-a716-446655440000",
        // Dates, times, money, ranges.
        "2026-03-01 2026-03-02 2026-03-03, 20260301 20260302, 03/01/2026 08:00-16:30",
        "epoch 1767225600000 ms, $1,234,567.89, 1000-2000, 10 20 30 40 50",
        "1234 5678 9012 3456 is made up",
        // SSNs that cannot be issued, and longer things that hold one.
        "000-12-3456 666-12-3456 900-12-3456 536-00-8726 536-22-0000",
        "part 536-22-8726-01 and 12-536-22-8726, 536-22 8726",
        "536228726 with no word nearby",
        // Wrong checksums.
        "4111 1111 1111 1112, 5555555555554445",
        "DE89370400440532013001, DE8937040044053201300, XX89370400440532013000",
        "routing number 021000022, account 123456789",
        "021000021 widgets",
    ];
    for text in quiet {
        assert_eq!(kinds(text), [], "{text}");
    }
}

#[test]
fn the_cost_is_linear() {
    let text = "4111 ".repeat(40_000);
    assert!(find(&text).len() < 40_000);
    assert_eq!(find(&"1".repeat(200_000)), []);
}

proptest! {
    #[test]
    fn spans_are_in_order_on_boundaries_and_apart(text in "([0-9]{1,6}[ -]?|DE89|é|\\PC){0,24}") {
        let mut end = 0;
        for pii in find(&text) {
            prop_assert!(end <= pii.span.start && pii.span.start < pii.span.end);
            prop_assert!(text.get(pii.span.clone()).is_some());
            end = pii.span.end;
        }
    }
}
