//! Who a mail would go to.

use std::collections::HashMap;

use email_address::{EmailAddress, Options};

use super::draft::{Draft, Task, allowed, is_allowed};
use super::rules;
use crate::engines::validation::shown::quoted;
use crate::types::validation::Finding;

/// Adds what is wrong with the recipients, in `to` and then `cc`.
pub(super) fn check(draft: &Draft<'_>, task: &Task<'_>, findings: &mut Vec<Finding>) {
    let mut seen: HashMap<String, String> = HashMap::new();
    let mut recipients = 0;
    for (path, text) in draft.to.iter().chain(&draft.cc) {
        if injects(text) {
            let message = "a recipient holds a line break or another control character";
            findings.push(rules::HEADER_INJECTION.finding(path.as_str(), message));
        }
        // A list in one text is a list to every mail program, so it is one here.
        for address in split(text) {
            recipients += 1;
            check_one(path, address, task, &mut seen, findings);
        }
    }
    if recipients == 0 && draft.has_to {
        findings.push(rules::RECIPIENT_MISSING.finding("/to", "there is no recipient"));
    }
}

fn check_one(
    path: &str,
    text: &str,
    task: &Task<'_>,
    seen: &mut HashMap<String, String>,
    findings: &mut Vec<Finding>,
) {
    let options = Options::default()
        .with_required_tld()
        .without_domain_literal();
    let address = match EmailAddress::parse_with_options(text, options) {
        Ok(address) => address,
        Err(error) => {
            let message = format!("{} is not an address: {error}", quoted(text));
            let suggestion = Some("write name@example.com, or Name <name@example.com>".to_owned());
            findings.push(rules::RECIPIENT_INVALID.suggesting(path, message, suggestion));
            return;
        }
    };
    if !is_allowed(address.domain(), &task.allowed_domains) {
        let message = format!("the domain {} is not allowed", quoted(address.domain()));
        let suggestion = allowed(&task.allowed_domains);
        findings.push(rules::RECIPIENT_DOMAIN.suggesting(path, message, suggestion));
    }
    // Local parts differ by case in theory; no mail provider of note tells them apart.
    let key = address.email().to_lowercase();
    if let Some(earlier) = seen.get(&key) {
        let message = format!("{} is there already, at {earlier}", quoted(&key));
        findings.push(rules::RECIPIENT_DUPLICATE.finding(path, message));
    } else {
        seen.insert(key, path.to_owned());
    }
}

/// Whether a header could be ended, or something hidden in it.
pub(super) fn injects(text: &str) -> bool {
    text.chars()
        .any(|c| c.is_control() && c != '\t' || matches!(c, '\u{2028}' | '\u{2029}'))
}

/// Splits at commas and semicolons that are not quoted; blank parts are none.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        let separates = !quoted && matches!(c, ',' | ';');
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && quoted && !escaped;
        separates
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_outside_of_quotes() {
        let cases: &[(&str, &[&str])] = &[
            (
                "a@x.com, b@x.com;c@x.com,",
                &["a@x.com", "b@x.com", "c@x.com"],
            ),
            (
                r#""Lopez, Ana" <a@x.com>, b@x.com"#,
                &[r#""Lopez, Ana" <a@x.com>"#, "b@x.com"],
            ),
            (r#""a\",b" <a@x.com>"#, &[r#""a\",b" <a@x.com>"#]),
            (" ,; ", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(&split(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
