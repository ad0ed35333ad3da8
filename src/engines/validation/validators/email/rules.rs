//! The rules of `email`.

use crate::engines::validation::Rule;

pub(super) const SHAPE: Rule = Rule::critical("email.shape", "The payload is as the schema says.");
pub(super) const CONTEXT: Rule = Rule::critical(
    "email.context",
    "The context is as the schema says, and its worker is on the roster.",
);
pub(super) const MISSPELT_FIELD: Rule = Rule::error(
    "email.misspelt_field",
    "No field looks like a known one that is absent.",
);
pub(super) const UNKNOWN_FIELD: Rule = Rule::warning(
    "email.unknown_field",
    "No field is there that nothing reads.",
);
pub(super) const RECIPIENT_MISSING: Rule = Rule::error(
    "email.recipient_missing",
    "There is at least one recipient.",
);
pub(super) const RECIPIENT_INVALID: Rule = Rule::error(
    "email.recipient_invalid",
    "Each recipient is an address, with a full domain.",
);
pub(super) const RECIPIENT_DUPLICATE: Rule = Rule::warning(
    "email.recipient_duplicate",
    "No address is there twice, in to and cc together.",
);
pub(super) const RECIPIENT_DOMAIN: Rule = Rule::critical(
    "email.recipient_domain",
    "Each recipient is of an allowed domain.",
);
pub(super) const RECIPIENT_LOOKALIKE: Rule = Rule::critical(
    "email.recipient_lookalike",
    "No recipient's domain only looks like an allowed one, or mixes scripts that look alike.",
);
pub(super) const RECIPIENT_DISGUISED: Rule = Rule::error(
    "email.recipient_disguised",
    "The name of a recipient shows no address but his own.",
);
pub(super) const HEADER_INJECTION: Rule = Rule::critical(
    "email.header_injection",
    "No header holds a line break or another control character, plain or encoded.",
);
pub(super) const SUBJECT_EMPTY: Rule = Rule::error("email.subject_empty", "There is a subject.");
pub(super) const SUBJECT_LONG: Rule =
    Rule::error("email.subject_long", "The subject is within its limit.");
pub(super) const BODY_EMPTY: Rule = Rule::error("email.body_empty", "There is a body.");
pub(super) const BODY_LONG: Rule =
    Rule::error("email.body_long", "Body and html are within their limit.");
pub(super) const NAME_MISMATCH: Rule = Rule::error(
    "email.name_mismatch",
    "The greeting names the worker of the context, by first or full name.",
);
pub(super) const PLACEHOLDER: Rule =
    Rule::error("email.placeholder", "No placeholder of a template is left.");
pub(super) const PII: Rule = Rule::critical(
    "email.pii",
    "No national id, card, bank or passport number is given away.",
);
pub(super) const SECRET: Rule = Rule::critical("email.secret", "No credential is given away.");
pub(super) const LINK_SCHEME: Rule = Rule::critical(
    "email.link_scheme",
    "Links are http or https; mailto and tel in html.",
);
pub(super) const LINK_DOMAIN: Rule =
    Rule::error("email.link_domain", "Links lead to allowed domains.");
pub(super) const LINK_SUSPICIOUS: Rule = Rule::warning(
    "email.link_suspicious",
    "No link has an IP address, a user name or letters that look like others for its host.",
);
pub(super) const LINK_LOOKALIKE: Rule = Rule::critical(
    "email.link_lookalike",
    "No link's domain only looks like an allowed one, or like that of a recipient.",
);
pub(super) const LINK_TEXT: Rule = Rule::error(
    "email.link_text",
    "A link whose text names a site leads to that site.",
);
pub(super) const LINK_SHORTENER: Rule = Rule::warning(
    "email.link_shortener",
    "No link goes through a service that hides where it leads.",
);
pub(super) const TRACKING: Rule = Rule::warning(
    "email.tracking",
    "No link or unseen image tells who opened or followed it.",
);
pub(super) const HIDDEN_TEXT: Rule = Rule::error(
    "email.hidden_text",
    "A reader sees all of the text: none is hidden by style, size, colour or invisible characters.",
);
pub(super) const HTML_ACTIVE: Rule = Rule::critical(
    "email.html_active",
    "Html runs and embeds nothing: no scripts, event handlers, frames or objects.",
);
pub(super) const HTML_FORM: Rule = Rule::error("email.html_form", "Html does not ask for input.");
pub(super) const HTML_DIFFERS: Rule = Rule::error(
    "email.html_differs",
    "Html and body say the same, by their numbers and words.",
);
pub(super) const REMOTE_CONTENT: Rule = Rule::warning(
    "email.remote_content",
    "Nothing is fetched when the mail is opened.",
);
pub(super) const ATTACHMENT: Rule = Rule::critical(
    "email.attachment",
    "No attachment runs something or hides what it is.",
);
pub(super) const ATTACHMENT_SUSPICIOUS: Rule = Rule::warning(
    "email.attachment_suspicious",
    "No attachment is a page, an archive with a password, or named like something else.",
);

/// All of them, in the order of the checks.
pub(super) const ALL: &[Rule] = &[
    SHAPE,
    CONTEXT,
    MISSPELT_FIELD,
    UNKNOWN_FIELD,
    RECIPIENT_MISSING,
    RECIPIENT_INVALID,
    RECIPIENT_DUPLICATE,
    RECIPIENT_DOMAIN,
    RECIPIENT_LOOKALIKE,
    RECIPIENT_DISGUISED,
    HEADER_INJECTION,
    SUBJECT_EMPTY,
    SUBJECT_LONG,
    BODY_EMPTY,
    BODY_LONG,
    NAME_MISMATCH,
    PLACEHOLDER,
    PII,
    SECRET,
    LINK_SCHEME,
    LINK_DOMAIN,
    LINK_SUSPICIOUS,
    LINK_LOOKALIKE,
    LINK_TEXT,
    LINK_SHORTENER,
    TRACKING,
    HIDDEN_TEXT,
    HTML_ACTIVE,
    HTML_FORM,
    HTML_DIFFERS,
    REMOTE_CONTENT,
    ATTACHMENT,
    ATTACHMENT_SUSPICIOUS,
];
