//! Payload and context of `fill`, read from JSON.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::record::Records;
use super::rules;
use crate::engines::validation::fields::{Fields, kind_of};
use crate::engines::validation::period::{Moment, Period};
use crate::engines::validation::roster::Need;
use crate::engines::validation::shown::quoted;
use crate::types::validation::Finding;

const FIELDS: [&str; 5] = ["worker_id", "name", "role", "start", "end"];
const CONTEXT_FIELDS: [&str; 8] = [
    "role",
    "city",
    "state",
    "target_count",
    "client_id",
    "date",
    "certificates",
    "time_zone",
];

pub(super) fn schema(max_fills: usize) -> Value {
    let when = "ISO date, or RFC 3339 date-time; an end that is a date includes that day";
    let text = json!({"type": "string", "minLength": 1});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["payload"],
        "properties": {
            "payload": {
                "type": "object",
                "required": ["fills"],
                "properties": {"fills": {
                    "type": "array",
                    "maxItems": max_fills,
                    "items": {
                        "type": "object",
                        "required": ["worker_id", "name"],
                        "properties": {
                            "worker_id": text,
                            "name": text,
                            "role": {"type": ["string", "null"]},
                            "start": {"type": ["string", "null"], "description": when},
                            "end": {"type": ["string", "null"], "description": when},
                        },
                    },
                }},
            },
            "context": {
                "type": "object",
                "properties": {
                    "role": text,
                    "city": text,
                    "state": text,
                    "target_count": {"type": "integer", "minimum": 0},
                    "client_id": text,
                    "date": {
                        "type": "string",
                        "description": "the day of the work, for fills without a start",
                    },
                    "certificates": {
                        "type": "array",
                        "items": text,
                        "description": "what the work asks for; each must be valid while it lasts",
                    },
                    "time_zone": {
                        "type": "string",
                        "description": "IANA name, such as America/Chicago, of times without an offset",
                    },
                },
            },
        },
    })
}

/// One proposed assignment.
#[derive(Debug)]
pub(super) struct Proposal<'a> {
    /// JSON Pointer of the assignment.
    pub(super) path: String,
    pub(super) worker_id: &'a str,
    pub(super) name: Option<&'a str>,
    pub(super) role: Option<&'a str>,
    pub(super) when: When,
}

/// The time of an assignment.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    /// Neither start nor end is given.
    Unsaid,
    /// Something is given that makes no sense, and was reported.
    Unreadable,
    /// A start, and an end or the end of that day.
    During(Period),
}

impl<'a> Proposal<'a> {
    /// Reads every assignment that names a worker, and counts all.
    ///
    /// None if there is no list to read.
    pub(super) fn read_all(
        payload: &'a Value,
        opening: &Opening,
        max_fills: usize,
        findings: &mut Vec<Finding>,
    ) -> Option<(Vec<Self>, usize)> {
        let mut fields = Fields::of_payload(payload, String::new(), rules::SHAPE, findings);
        fields.only(
            &["fills"],
            rules::MISSPELT_FIELD,
            Some(rules::UNKNOWN_FIELD),
        );
        fields.required("fills");
        let fills = match fields.get("fills")? {
            Value::Array(fills) => fills,
            other => {
                fields.wrong("fills", &format!("must be a list, is {}", kind_of(other)));
                return None;
            }
        };
        if fills.len() > max_fills {
            fields.wrong(
                "fills",
                &format!("has {} items, the limit is {max_fills}", fills.len()),
            );
            return None;
        }
        let read = fills.iter().enumerate().filter_map(|(at, fill)| {
            let path = format!("/fills/{at}");
            Self::read(fill, path, opening, findings)
        });
        Some((read.collect(), fills.len()))
    }

    fn read(
        fill: &'a Value,
        path: String,
        opening: &Opening,
        findings: &mut Vec<Finding>,
    ) -> Option<Self> {
        let mut fields = Fields::of_payload(fill, path.clone(), rules::SHAPE, findings);
        fields.only(&FIELDS, rules::MISSPELT_FIELD, Some(rules::UNKNOWN_FIELD));
        fields.required("worker_id");
        fields.required("name");
        let worker_id = fields.filled("worker_id");
        let name = fields.filled("name");
        let role = fields.text("role").filter(|role| !role.trim().is_empty());
        let (start, end) = (fields.text("start"), fields.text("end"));
        let when = When::read(&path, (start, end), opening.zone.as_ref(), findings);
        Some(Self {
            path,
            worker_id: worker_id?,
            name,
            role,
            when,
        })
    }
}

impl When {
    fn read(
        path: &str,
        (start, end): (Option<&str>, Option<&str>),
        zone: Option<&TimeZone>,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let mut moment = |name: &str, text: &str| {
            Moment::parse(text).map_err(|wanted| {
                let message = format!("{name} is {}, which is no date", quoted(text));
                let path = format!("{path}/{name}");
                findings.push(rules::BAD_DATE.suggesting(path, message, Some(wanted)));
            })
        };
        let start = start.map(|text| moment("start", text)).transpose();
        let end = end.map(|text| moment("end", text)).transpose();
        let problem = match (start, end) {
            (Err(()), _) | (_, Err(())) => return Self::Unreadable,
            (Ok(None), Ok(None)) => return Self::Unsaid,
            (Ok(None), Ok(Some(_))) => "end is given without a start",
            (Ok(Some(start)), Ok(end)) => match Period::new(start, end, zone) {
                Some(period) => return Self::During(period),
                None => "end is not after start",
            },
        };
        findings.push(rules::BAD_DATE.finding(format!("{path}/end"), problem));
        Self::Unreadable
    }
}

/// What the assignments are for.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) need: Need,
    /// Where times without an offset are read.
    pub(super) zone: Option<TimeZone>,
    target_count: Option<usize>,
}

impl Opening {
    pub(super) fn read(context: &Value, findings: &mut Vec<Finding>) -> Self {
        let mut fields = Fields::of_context(context, rules::CONTEXT, findings);
        fields.only(&CONTEXT_FIELDS, rules::CONTEXT, None);
        let mut text = |name| fields.filled(name).map(str::to_owned);
        let (role, city, state) = (text("role"), text("city"), text("state"));
        let client_id = text("client_id");
        let target_count = fields.count("target_count");
        let date = fields
            .filled("date")
            .and_then(|text| match Moment::parse(text) {
                Ok(moment) => Some(moment.date()),
                Err(wanted) => {
                    fields.wrong(
                        "date",
                        &format!("is {}, which is no date: {wanted}", quoted(text)),
                    );
                    None
                }
            });
        let zone = fields.filled("time_zone").and_then(|name| {
            let zone = TimeZone::get(name.trim()).ok();
            if zone.is_none() {
                let name = quoted(name);
                let problem = format!("is {name}: use an IANA name such as America/Chicago");
                fields.wrong("time_zone", &problem);
            }
            zone
        });
        let certificates = fields.texts("certificates", false).into_iter();
        let certificates = certificates
            .map(|(_, name)| name.trim().to_owned())
            .filter(|name| !name.is_empty());
        let certificates = certificates.collect();
        Self {
            need: Need {
                role,
                city,
                state,
                client_id,
                date,
                certificates,
            },
            zone,
            target_count,
        }
    }

    /// The day of the opening.
    pub(super) fn day(&self) -> Option<Period> {
        Period::new(Moment::day(self.need.date?), None, self.zone.as_ref())
    }

    /// When an assignment is: its own time, else the day of the opening.
    pub(super) fn period(&self, proposal: &Proposal<'_>) -> Option<Period> {
        match proposal.when {
            When::During(period) => Some(period),
            When::Unsaid => self.day(),
            When::Unreadable => None,
        }
    }

    /// Whether as many are proposed as are wanted.
    pub(super) fn check_count(&self, proposed: usize, records: &Records<'_>) -> Option<Finding> {
        let wanted = match self.target_count {
            Some(wanted) => wanted,
            // Without a target any number will do, but none is no proposal.
            None => proposed.max(1),
        };
        let suggestion = match proposed.cmp(&wanted) {
            std::cmp::Ordering::Equal => return None,
            std::cmp::Ordering::Greater => format!("remove {}", proposed - wanted),
            std::cmp::Ordering::Less => {
                let more = format!("propose {} more", wanted - proposed);
                match records.others() {
                    Some(others) => format!("{more}, such as {others}"),
                    None => more,
                }
            }
        };
        let message = format!("{proposed} proposed, {wanted} wanted");
        Some(rules::COUNT.suggesting("/fills", message, Some(suggestion)))
    }
}
