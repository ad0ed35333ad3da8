//! HTML as Markdown, without what is not text.

use htmd::element_handler::Handlers;
use htmd::{Element, HtmlToMarkdown};

/// What holds no text of the document.
const SKIPPED: [&str; 14] = [
    "head", "script", "style", "noscript", "template", "svg", "nav", "iframe", "object", "form",
    "button", "select", "img", "video",
];
/// What is only its text: the marks would be words that nobody searches for.
const PLAIN: [&str; 7] = ["a", "b", "strong", "i", "em", "s", "u"];

/// Reads HTML. Bytes that are no UTF-8 are read as far as they are.
pub(super) fn markdown(bytes: &[u8]) -> Result<String, String> {
    let converter = HtmlToMarkdown::builder()
        .skip_tags(SKIPPED.to_vec())
        .add_handler(
            PLAIN.to_vec(),
            |handlers: &dyn Handlers, element: Element| Some(handlers.walk_children(element.node)),
        )
        .build();
    let text = converter
        .convert(&String::from_utf8_lossy(bytes))
        .map_err(|error| error.to_string())?;
    Ok(unescaped(&text))
}

/// Takes back the backslashes before what would be a mark in Markdown; code has none.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let mut rest = line;
        while let Some(at) = rest.find('\\').filter(|_| !fenced) {
            let (before, after) = (&rest[..at], &rest[at + 1..]);
            plain.push_str(before);
            let escaped = after.chars().next().filter(char::is_ascii_punctuation);
            let taken = escaped.map_or(0, char::len_utf8);
            plain.push_str(match taken {
                0 => "\\",
                _ => &after[..taken],
            });
            rest = &after[taken..];
        }
        plain.push_str(rest);
        plain.push('\n');
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn headings_paragraphs_tables_and_code_stay_and_the_rest_goes() {
        let html = "<!doctype html><html><head><title>T</title><style>p {}</style></head><body>
            <nav>Home</nav><script>let x = 1;</script>
            <h1>Ferry</h1><p>It leaves at <b>nine</b>, see <a href='/t'>the times</a>. A_b * c &amp; d</p>
            <ul><li>one</li><li>two</li></ul>
            <h2>Code</h2><pre><code>a\\_b # not a heading</code></pre>
            <table><tr><th>Day</th></tr><tr><td>Monday</td></tr></table></body></html>";
        let text = markdown(html.as_bytes()).unwrap();
        for part in [
            "# Ferry\n",
            "It leaves at nine, see the times. A_b * c & d",
            "one\n",
            "## Code\n",
            "a\\_b # not a heading",
            "Monday",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        for part in ["Home", "let x", "p {}", "/t", "<"] {
            assert!(!text.contains(part), "{part:?} in {text}");
        }
    }

    proptest! {
        #[test]
        fn bytes_that_are_no_html_are_text_or_an_error(bytes: Vec<u8>, text in "[<>/a-z \"'=&;!\\-]{0,80}") {
            drop(markdown(&bytes));
            drop(markdown(text.as_bytes()));
        }
    }
}
