use super::*;
use crate::engines::validation::validators::email::html;

fn judge(lists: &[Vec<String>]) -> Judge<'_> {
    let known = lists
        .iter()
        .flatten()
        .map(|domain| Known::new(domain, true))
        .collect();
    Judge { lists, known }
}

fn lists(allowed: &[&str]) -> Vec<Vec<String>> {
    match allowed {
        [] => vec![],
        names => vec![names.iter().map(|name| (*name).to_owned()).collect()],
    }
}

fn names(findings: Vec<Finding>) -> Vec<String> {
    let names = findings.into_iter().map(|finding| finding.rule);
    names
        .map(|rule| rule.trim_start_matches("email.").to_owned())
        .collect()
}

#[test]
fn links_are_judged_by_scheme_and_host() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        (
            "see https://portal.example.com/a?b=1.",
            &["example.com"],
            &[],
        ),
        ("see https://example.com.", &["example.com"], &[]),
        ("see HTTPS://Example.COM:8443/x", &["example.com"], &[]),
        ("any https://anything.io goes", &[], &[]),
        (
            "https://example.com.evil.io",
            &["example.com"],
            &["link_lookalike", "link_domain"],
        ),
        ("https://notexample.com", &["example.com"], &["link_domain"]),
        (
            "https://exarnple.com/x",
            &["example.com"],
            &["link_lookalike", "link_domain"],
        ),
        ("www.evil.io", &["example.com"], &["link_domain"]),
        ("ftp://example.com/x", &["example.com"], &["link_scheme"]),
        ("file:///etc/passwd", &[], &["link_scheme"]),
        ("javascript:alert(1)", &[], &["link_scheme"]),
        ("data:text/html;base64,AAAA", &[], &["link_scheme"]),
        ("http://192.168.0.1/x", &[], &["link_suspicious"]),
        ("http://2130706433/", &[], &["link_suspicious"]),
        ("http://0x7f.1/", &[], &["link_suspicious"]),
        ("http://[::1]:80/", &[], &["link_suspicious"]),
        ("http://%31%30.0.0.1/", &[], &["link_suspicious"]),
        ("https://", &[], &[]),
        ("https:///x", &[], &["link_suspicious"]),
        ("https://xn--pple-43d.com", &[], &["link_suspicious"]),
        ("https://\u{430}pple.com", &[], &["link_suspicious"]),
        (
            "https://b\u{fc}cher.de/x",
            &["example.com"],
            &["link_domain"],
        ),
        ("https://b\u{fc}cher.de/x", &["xn--bcher-kva.de"], &[]),
        ("https://bank.com@1evil.io/", &[], &["link_suspicious"]),
        (
            "https://example.com@evil.io",
            &["example.com"],
            &["link_domain", "link_suspicious"],
        ),
        (
            "https://evil.io\\@example.com",
            &["example.com"],
            &["link_domain"],
        ),
        ("https://ev%69l.io/", &["example.com"], &["link_domain"]),
        ("https://bit.ly/3xYz", &[], &["link_shortener"]),
        ("https://shop.com/?a=1&utm_source=mail", &[], &["tracking"]),
        ("https://click.shop.com/x", &[], &["tracking"]),
        (
            "Data: the file is ready. I love JavaScript: it is fun",
            &[],
            &[],
        ),
        ("Data: all of it. Note: 10:30, a/b", &["example.com"], &[]),
        (
            "https://a.io https://a.io https://a.io",
            &["b.io"],
            &["link_domain"],
        ),
    ];
    for (text, allowed, expected) in cases {
        let (lists, mut findings) = (lists(allowed), Vec::new());
        check("/body", text, &judge(&lists), &mut findings);
        assert_eq!(&names(findings), expected, "{text}");
    }
}

#[test]
fn links_of_pages_are_judged_by_their_text_too() {
    let cases: &[(&str, &[&str])] = &[
        ("<a href='https://example.com/s'>here</a>", &[]),
        (
            "<a href='https://www.example.com/s'>https://example.com</a>",
            &[],
        ),
        (
            "<a href='https://hr.example.com/s'>portal.example.com</a>",
            &[],
        ),
        ("<a href='https://example.com/f.pdf'>report.pdf</a>", &[]),
        (
            "<a href='https://example.com'>see the site of evil.io.</a>",
            &[],
        ),
        ("<a href='https://example.com'>ana@evil.io</a>", &[]),
        (
            "<a href='https://example.com'><b>evil.io</b></a>",
            &["link_text"],
        ),
        (
            "<a href='https://example.com'>go to https://evil.io/x now</a>",
            &["link_text"],
        ),
        (
            "<a href='mailto:ana@example.com'>x</a><a href='#top'>x</a>",
            &[],
        ),
        (
            "<a href='mailto:ana@evil.io?subject=x'>x</a>",
            &["link_domain"],
        ),
        (
            "<img src='cid:logo'><img src='data:image/png;base64,AAAA'>",
            &[],
        ),
        (
            "<a href='data:image/png;base64,AAAA'>x</a>",
            &["link_scheme"],
        ),
        ("<a href='/login'>x</a>", &["link_scheme"]),
        ("<a href='java\tscript:alert(1)'>x</a>", &["link_scheme"]),
        ("<a href='&#106;avascript:x'>x</a>", &["link_scheme"]),
        ("<a href='javascript&colon;x'>x</a>", &["link_scheme"]),
        ("<a href='//evil.io'>x</a>", &["link_scheme"]),
        ("<a href='ftp://example.com'>x</a>", &["link_scheme"]),
        ("<img src='https://evil.io/x.png'>", &["link_domain"]),
    ];
    let lists = lists(&["example.com"]);
    for (text, expected) in cases {
        let mut findings = Vec::new();
        check_page("/html", &html::read(text), &judge(&lists), &mut findings);
        assert_eq!(&names(findings), expected, "{text}");
    }
}
