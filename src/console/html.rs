//! Text made safe for HTML, and what stands around every page.

use std::fmt;

/// Puts a page's sections between its head and its foot.
pub(super) fn frame(sections: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <title>Boathouse</title><link rel=stylesheet href=\"/console/console.css\">\
         <script src=\"/console/console.js\" defer></script></head><body>\
         <header><h1>Boathouse</h1><nav><a href=\"/console\">tree</a> <a href=\"/console/review\">review</a> \
         <a href=\"/docs/\">API</a> <a href=\"/metrics\">metrics</a> <a href=\"/console/login\">log in or out</a></nav></header>\
         <main>{sections}</main></body></html>\n"
    )
}

/// Displays `0` with the characters that mean something in HTML written as entities.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => formatter.write_str("&amp;")?,
                '<' => formatter.write_str("&lt;")?,
                '>' => formatter.write_str("&gt;")?,
                '"' => formatter.write_str("&quot;")?,
                '\'' => formatter.write_str("&#39;")?,
                other => write!(formatter, "{other}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn markup_in_data_stays_text() {
        assert_eq!(
            Escaped("<a href=\"x\" on='y'>&</a>").to_string(),
            "&lt;a href=&quot;x&quot; on=&#39;y&#39;&gt;&amp;&lt;/a&gt;"
        );
    }
}
