//! Who a mail would go to.

use std::collections::HashMap;

use email_address::{EmailAddress, Options};

use super::addresses::{Mailbox, mailboxes, unquoted};
use super::domains::{self, Known, allowed, is_allowed, shown};
use super::draft::{Draft, Task};
use super::{headers, rules};
use crate::engines::validation::shown::quoted;
use crate::types::validation::Finding;

/// Recipients that are judged.
const MAX_RECIPIENTS: usize = 1_000;
/// Domains of recipients that links are compared with.
const MAX_DOMAINS: usize = 50;

/// Adds what is wrong with the recipients, in `to` and then `cc`. Returns their domains.
pub(super) fn check(
    draft: &Draft<'_>,
    task: &Task<'_>,
    known: &[Known],
    findings: &mut Vec<Finding>,
) -> Vec<String> {
    let mut seen: HashMap<String, String> = HashMap::new();
    let mut recipients = 0;
    let mut domains: Vec<String> = Vec::new();
    'all: for (path, text) in draft.to.iter().chain(&draft.cc) {
        if let Some(how) = headers::injection(text) {
            findings
                .push(rules::HEADER_INJECTION.finding(path.as_str(), format!("a recipient {how}")));
        }
        // A list in one text is a list to every mail program, so it is one here.
        for mailbox in mailboxes(text) {
            recipients += 1;
            if recipients > MAX_RECIPIENTS {
                let message = format!(
                    "there are more than {MAX_RECIPIENTS} recipients; the others are not judged"
                );
                findings.push(rules::SHAPE.finding(path.as_str(), message));
                break 'all;
            }
            let domain = check_one(path, &mailbox, task, known, &mut seen, findings);
            let domain = domain.filter(|domain| !domains.contains(domain));
            domains.extend(domain.filter(|_| domains.len() < MAX_DOMAINS));
        }
    }
    if recipients == 0 && draft.has_to {
        findings.push(rules::RECIPIENT_MISSING.finding("/to", "there is no recipient"));
    }
    domains
}

fn check_one(
    path: &str,
    mailbox: &Mailbox<'_>,
    task: &Task<'_>,
    known: &[Known],
    seen: &mut HashMap<String, String>,
    findings: &mut Vec<Finding>,
) -> Option<String> {
    let (local, domain) = match parsed(&mailbox.spec) {
        Ok(parts) => parts,
        Err(error) => {
            let message = format!("{} is not an address: {error}", quoted(mailbox.raw));
            let suggestion = Some("write name@example.com, or Name <name@example.com>".to_owned());
            findings.push(rules::RECIPIENT_INVALID.suggesting(path, message, suggestion));
            return None;
        }
    };
    if !is_allowed(&domain, &task.allowed_domains) {
        let message = format!("the domain {} is not allowed", shown(&domain));
        let suggestion = allowed(&task.allowed_domains);
        findings.push(rules::RECIPIENT_DOMAIN.suggesting(path, message, suggestion));
    }
    if let Some((known, why)) = domains::looks_like(&domain, known) {
        let message = format!("the domain {} {why} {}", shown(&domain), quoted(known));
        findings.push(rules::RECIPIENT_LOOKALIKE.finding(path, message));
    } else if let Some(why) = domains::disguise(&domain) {
        let message = format!("the domain {} {why}", shown(&domain));
        findings.push(rules::RECIPIENT_LOOKALIKE.finding(path, message));
    }
    // Local parts differ by case in theory; no mail provider of note tells them apart.
    let key = format!("{}@{domain}", unquoted(&local).to_lowercase());
    if shows_another(&mailbox.name, &key) {
        let message = format!(
            "the name {} shows another address than {}",
            quoted(&mailbox.name),
            quoted(&key)
        );
        let suggestion = Some("use the name of the person".to_owned());
        findings.push(rules::RECIPIENT_DISGUISED.suggesting(path, message, suggestion));
    }
    if let Some(earlier) = seen.get(&key) {
        let message = format!("{} is there already, at {earlier}", quoted(&key));
        findings.push(rules::RECIPIENT_DUPLICATE.finding(path, message));
    } else {
        seen.insert(key, path.to_owned());
    }
    Some(domain)
}

/// Local part and domain, the domain as resolvers ask for it.
fn parsed(spec: &str) -> Result<(String, String), String> {
    let options = Options::default()
        .with_required_tld()
        .without_domain_literal()
        .without_display_text();
    let ascii = spec.rsplit_once('@').and_then(|(local, domain)| {
        // Without this a name of 300 letters would be one.
        let domain = domains::ascii(domain).filter(|_| !domain.contains(char::is_whitespace))?;
        Some(format!("{local}@{domain}"))
    });
    let address = EmailAddress::parse_with_options(ascii.as_deref().unwrap_or(spec), options)
        .map_err(|error| error.to_string())?;
    Ok((address.local_part().to_owned(), address.domain().to_owned()))
}

/// Mail programs show the name instead of the address, so it must not read like another one.
fn shows_another(name: &str, address: &str) -> bool {
    let marks =
        |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '(' | ')' | '"' | ',' | ';' | '\'');
    name.split(marks).any(|word| {
        let domain = word
            .split_once('@')
            .map(|(_, domain)| domain)
            .unwrap_or_default();
        domain.contains('.') && !word.eq_ignore_ascii_case(address)
    })
}
