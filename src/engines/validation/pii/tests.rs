use proptest::prelude::*;

use super::*;

fn kinds(text: &str) -> Vec<(PiiKind, &str)> {
    find_identities(text)
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
        "536228726 with no word nearby, 078-05-1120 and 219-09-9999 were printed for show",
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
fn ids_of_other_countries_are_found() {
    use PiiKind::*;
    let cases: &[(PiiKind, &str, &str)] = &[
        (Itin, "tax form of ", "912-78-1234"),
        (Itin, "ITIN ", "912781234"),
        (Nino, "NI number ", "AB123456C"),
        (Nino, "", "AB 12 34 56 C"),
        (Nhs, "NHS number: ", "943 476 5919"),
        (Nhs, "NHS no. ", "9434765919"),
        (SteuerId, "Steuer-ID ", "86095742719"),
        (SteuerId, "Steueridentifikationsnummer: ", "86 095 742 719"),
        (Nir, "", "255081416802538"),
        (Nir, "s\u{e9}cu ", "2 55 08 14 168 025 38"),
        (Dni, "DNI ", "12345678Z"),
        (Dni, "", "12.345.678-Z"),
        (Dni, "NIE ", "X1234567L"),
        (Dni, "", "X-1234567-L"),
        (CodiceFiscale, "", "RSSMRA85T10A562S"),
        (CodiceFiscale, "cf ", "rssmra85t10a562s"),
        (Pesel, "PESEL ", "44051401359"),
        (Bsn, "BSN: ", "111222333"),
        (Passport, "passport no. ", "C01234567"),
        (Passport, "Passport: ", "536228726"),
        (Passport, "Reisepass ", "C01X00T47"),
    ];
    for (kind, lead, id) in cases {
        for tail in ["", ".", ", and so on"] {
            let text = format!("{lead}{id}{tail}");
            assert_eq!(kinds(&text), [(*kind, *id)], "{text}");
        }
    }
    let quiet = [
        "NI number AB123456E, DF123456A, GB123456A, order AB123456C",
        "NHS number 943 476 5918",
        "call 943 476 5919",
        "Steuer-ID 86095742718, Steuer-ID 12345678901",
        "order 86095742719",
        "255081416802539, 12345678A, X1234567M, 20260301Z, a12345678Z",
        "RSSMRA85T10A562T, RSSMRA85T10A562SX, PESEL 44051401358",
        "44051401359, order 111222333",
        "BSN 111222334, 912-49-1234, 912-93-1234",
        "passport renewal takes 6 weeks until 2026-03-01, call +1 312 555 0187",
    ];
    for text in quiet {
        assert_eq!(kinds(text), [], "{text}");
    }
}

#[test]
fn ways_to_reach_somebody_are_kinds_of_their_own() {
    use PiiKind::{Email, Ip, Phone};
    let cases: &[(&str, &[(PiiKind, &str)])] = &[
        (
            "write to ana.lopez+x@mail.example.co.uk.",
            &[(Email, "ana.lopez+x@mail.example.co.uk")],
        ),
        ("<a1@x.io>, b@x", &[(Email, "a1@x.io")]),
        (
            "+1 415 555 2671 or +44 (0)20 7946 0958",
            &[(Phone, "+1 415 555 2671"), (Phone, "+44 (0)20 7946 0958")],
        ),
        (
            "(312) 555-0187, 312-555-0187",
            &[(Phone, "(312) 555-0187"), (Phone, "312-555-0187")],
        ),
        (
            "312.555.0187 and 1-800-555-0199",
            &[(Phone, "312.555.0187"), (Phone, "1-800-555-0199")],
        ),
        ("call 312 555 0187 (after 8)", &[(Phone, "312 555 0187")]),
        ("Tel. 030 901820 22", &[(Phone, "030 901820 22")]),
        (
            "from 192.168.0.12:8080 and 2001:db8::8a2e:370:7334.",
            &[(Ip, "192.168.0.12"), (Ip, "2001:db8::8a2e:370:7334")],
        ),
    ];
    for (text, expected) in cases {
        let found = find(text);
        let found: Vec<_> = found
            .into_iter()
            .map(|pii| (pii.kind, &text[pii.span]))
            .collect();
        assert_eq!(&found, expected, "{text}");
        assert_eq!(kinds(text), [], "{text}");
    }
    let quiet = [
        "version 1.2.3.4, firmware v10.20.30.40, 1.2.3.4.5, 300.1.1.1, at 10:30:15",
        "std::fade::bed, a::b, 12:30-14:45, 2026-03-01 10:00, order 312-555-01877",
        "user @handle, a@b, @x.com, 41.8781, -87.6298, $312-555-0187, 100 200 3000",
        "1767225600000, 9400 1000 0000 0000 0000 00, 550e8400-e29b-41d4-a716-446655440000",
    ];
    for text in quiet {
        assert_eq!(find(text), [], "{text}");
    }
}

#[test]
fn the_cost_is_linear() {
    for part in [
        "4111 ",
        "1",
        "1 ",
        "1-",
        "+1 ",
        "a@",
        "@1",
        "1.1.1.1.",
        "::1",
        "AB12 ",
        "DE89 ",
        "ssn 111222333 ",
        "(312) 555-0187 ",
        "passport 1 ",
        "12345678 ",
        "AAAAAA11",
        "\u{a0}1",
        "\u{e9}1",
    ] {
        let cost = |bytes: usize| {
            let text = part.repeat(bytes / part.len());
            steps::counted(|| drop(find(&text))) as f64
        };
        let (small, large) = (cost(10_000), cost(100_000));
        assert!(
            large <= small * 10.5 + 100.0 && large < 5_000_000.0,
            "{part}: {small} {large}"
        );
    }
}

proptest! {
    #[test]
    fn spans_are_in_order_on_boundaries_and_apart(
        text in "([0-9]{1,6}[ -]?|DE89|AB12|RSSMRA85|@|::|\\+|passport |ssn |\u{e9}|\\PC){0,24}",
    ) {
        for found in [find(&text), find_identities(&text)] {
            let mut end = 0;
            for pii in found {
                prop_assert!(end <= pii.span.start && pii.span.start < pii.span.end);
                prop_assert!(text.get(pii.span.clone()).is_some());
                end = pii.span.end;
            }
        }
    }
}
