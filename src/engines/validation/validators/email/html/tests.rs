use super::*;

fn hidden(html: &str) -> Vec<String> {
    read(html)
        .hidden
        .into_iter()
        .map(|(_, text)| text)
        .collect()
}

#[test]
fn text_is_what_a_reader_sees() {
    let cases = [
        (
            "<p>Dear <b>Ana</b>,</p>see&nbsp;you &amp; Bo",
            "\nDear Ana,\nsee\u{a0}you & Bo",
        ),
        (
            "<style>p{color:red}</style><script>x<y</script>a<!-- b -->c",
            "ac",
        ),
        ("<title>t</title>a<br>b", "\n\na\nb"),
        ("a < b > c <3", "a < b > c <3"),
        ("<p>a<p>b", "\na\nb"),
        ("unclosed <a href='x", "unclosed "),
    ];
    for (html, expected) in cases {
        assert_eq!(read(html).text, expected, "{html}");
    }
}

#[test]
fn hidden_text_is_set_apart() {
    for html in [
        "<p style='display:none'>x</p>",
        "<div style=\"display:none\"><p>a<b>x</b></p></div>",
        "<div hidden>x</div>",
        "<span style='color:#fff'>x</span>",
        "<td bgcolor=#000000><font color=black>x</font></td>",
        "<div style='background:#123456'><i style='color:rgb(18,52,86)'>x</i></div>",
        "<font size=0>x</font>",
        "<style>.q{display:none}</style><p class='z q'>x</p>",
    ] {
        assert!(hidden(html).contains(&"x".to_owned()), "{html}");
        assert!(!read(html).text.contains('x'), "{html}");
    }
    for html in [
        "<p style='display:none'>a</p>x",
        "<p style='display:none'>a<p>x</p>",
        "<a style='color:#fff;background:#06c'>x</a>",
        "<td bgcolor='#000'><font color='#fff'>x</font></td>",
        "<td background='cid:a'><font color='#fff'>x</font></td>",
        "<style>.b{background:#000}</style><p class=b style='color:white'>x</p>",
        "<style>@media print{.q{display:none}}</style><p class=q>x</p>",
        "<img style='display:none'>x",
    ] {
        assert!(!hidden(html).contains(&"x".to_owned()), "{html}");
        assert!(read(html).text.contains('x'), "{html}");
    }
}

#[test]
fn links_images_and_what_runs_are_listed() {
    let page = read(concat!(
        "<a href=' https://a.com/&#x3f;b '>see <b>a.com</b></a><form action=/x><input></form>",
        "<img src=https://t.io/o.gif width=1><img src=cid:x width=100 ONERROR=y>",
        "<body background=https://b.com/c.png style='background:url(\"https://d.com\")'>",
        "<iframe src=z></iframe><meta http-equiv=Refresh content=0>",
    ));
    assert_eq!(page.links[0].target, "https://a.com/?b");
    assert_eq!(page.links[0].text.as_deref(), Some("see a.com"));
    assert_eq!(page.forms, ["<form>", "<input>"]);
    assert_eq!(
        page.active,
        ["onerror", "<iframe>", "<meta http-equiv=refresh>"]
    );
    let invisible: Vec<bool> = page.images.iter().map(|image| image.invisible).collect();
    assert_eq!(invisible, [true, false]);
    assert_eq!(page.remote, ["https://b.com/c.png", "https://d.com"]);
}

#[test]
fn a_hostile_page_costs_what_its_length_allows() {
    // The tokenizer compares the attributes of a tag with each other.
    for part in ["a ", "a/", "a=''", "a=\"\"b"] {
        let page = read(&format!("<p {}>x", part.repeat(10_000)));
        assert!(page.cut, "{part}");
    }
    // What looks the same and is not is read to its end.
    for html in [
        format!("<!-- {} -->x", "a ".repeat(10_000)),
        format!("{} <b>x</b>", "word ".repeat(10_000)),
        format!("{}x", "<i a b c>".repeat(10_000)),
        format!(
            "<img src='data:image/png;base64,{}'>x",
            "aB3+".repeat(50_000)
        ),
    ] {
        let page = read(&html);
        assert!(!page.cut && page.text.contains('x'));
    }
    let deep = format!("{}x{}", "<div>".repeat(5_000), "</b>".repeat(5_000));
    assert!(read(&deep).text.contains('x'));
}
