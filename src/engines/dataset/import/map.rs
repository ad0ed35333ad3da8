//! The mapping file: read by hand, so that what is wrong with it is told with the name of its key.

use std::collections::BTreeMap;

use serde_json::Value;
use toml::Table;

use super::path::{Paths, Pointer};
use super::scores::Rule;
use crate::types::error_kind::ErrorKind;

/// Largest mapping file, bytes: far above any real one.
const MAX_MAP_BYTES: usize = 1024 * 1024;

/// A mapping file that cannot be used. Change it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// It is no TOML.
    #[error("line {line}: {reason}")]
    Syntax {
        /// From 1; 0 when it is about no line.
        line: usize,
        /// What the parser said.
        reason: String,
    },
    /// A key does not say what it has to.
    #[error("{key}: {reason}")]
    Key {
        /// The key with its tables.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl MapError {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::BadRequest
    }
}

/// The names of `[fields]`, in the order in which they are documented.
const FIELDS: [&str; 21] = [
    "id",
    "time",
    "end_time",
    "latency_ms",
    "latency_s",
    "model",
    "requested_model",
    "provider",
    "system",
    "messages",
    "answer",
    "tools",
    "finish_reason",
    "error",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cost_usd",
    "user",
    "key",
    "tags",
];

/// The roles that a foreign role may be; `tool_call` is an assistant's message that is a call.
const ROLES: [&str; 6] = [
    "system",
    "developer",
    "user",
    "assistant",
    "tool",
    "tool_call",
];

/// A mapping file, checked.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct MapFile {
    /// The name of the source.
    pub(super) source: String,
    /// Texts that say nothing.
    pub(super) nothing: Vec<String>,
    /// What a value must be, where there is one, for its line to be a conversation.
    pub(super) only: Vec<(Pointer, Vec<Value>)>,
    /// What it must not be.
    pub(super) skip: Vec<(Pointer, Vec<Value>)>,
    fields: BTreeMap<&'static str, Paths>,
    /// What holds where a line says nothing.
    pub(super) default_finish_reason: Option<String>,
    /// The same of the model.
    pub(super) default_model: Option<String>,
    /// The same of the provider.
    pub(super) default_provider: Option<String>,
    /// Foreign role to ours.
    pub(super) roles: BTreeMap<String, &'static str>,
    /// The members of a message that may hold its role.
    pub(super) role_members: Vec<String>,
    /// The same of its content.
    pub(super) content_members: Vec<String>,
    /// Where scores are.
    pub(super) scores: Paths,
    /// Where a comment is.
    pub(super) comment: Paths,
    /// Where a corrected answer is.
    pub(super) edited_answer: Paths,
    /// Who judged.
    pub(super) judge: Paths,
    /// How scores become a rating; the first whose score is there counts.
    pub(super) rules: Vec<Rule>,
}

impl MapFile {
    /// Reads a mapping file.
    pub(super) fn parse(text: &str) -> Result<Self, MapError> {
        if text.len() > MAX_MAP_BYTES {
            let reason = format!("larger than {MAX_MAP_BYTES} bytes");
            return Err(MapError::Syntax { line: 0, reason });
        }
        let mut file = Section::new("", text.parse().map_err(|error| syntax(text, &error))?);
        match file.take("version") {
            Some(toml::Value::Integer(1)) => {}
            Some(other) => return Err(file.wrong("version", format!("must be 1, got {other}"))),
            None => return Err(file.wrong("version", "is missing: write version = 1")),
        }
        let mut map = Self {
            source: file.text("source")?.unwrap_or_default(),
            nothing: file.texts("nothing")?.unwrap_or_default(),
            only: conditions(file.section("only")?)?,
            skip: conditions(file.section("skip")?)?,
            ..Self::default()
        };
        let mut fields = file.section("fields")?;
        for name in FIELDS {
            let paths = fields.paths(name)?;
            if !paths.0.is_empty() {
                map.fields.insert(name, paths);
            }
        }
        fields.end(&FIELDS)?;
        if !map.fields.contains_key("messages") {
            let reason = "is missing: the path of the messages";
            return Err(fields.wrong("messages", reason));
        }
        let mut defaults = file.section("defaults")?;
        map.default_finish_reason = defaults.text("finish_reason")?;
        map.default_model = defaults.text("model")?;
        map.default_provider = defaults.text("provider")?;
        defaults.end(&["finish_reason", "model", "provider"])?;
        map.roles = roles(file.section("roles")?)?;
        let mut messages = file.section("messages")?;
        map.role_members = messages.texts("role")?.unwrap_or(vec!["role".to_owned()]);
        map.content_members = messages
            .texts("content")?
            .unwrap_or(vec!["content".to_owned()]);
        messages.end(&["role", "content"])?;
        map.read_feedback(file.section("feedback")?)?;
        file.end(&[
            "version", "source", "nothing", "only", "skip", "fields", "defaults", "roles",
            "messages", "feedback",
        ])?;
        Ok(map)
    }

    fn read_feedback(&mut self, mut feedback: Section) -> Result<(), MapError> {
        self.scores = feedback.paths("scores")?;
        self.comment = feedback.paths("comment")?;
        self.edited_answer = feedback.paths("edited_answer")?;
        self.judge = feedback.paths("user")?;
        for rule in feedback.sections("rules")? {
            self.rules.push(read_rule(rule)?);
        }
        feedback.end(&["scores", "comment", "edited_answer", "user", "rules"])?;
        if self.rules.is_empty() != self.scores.0.is_empty() {
            let reason = "scores and rules belong together: where they are, and what they mean";
            return Err(feedback.wrong("rules", reason));
        }
        Ok(())
    }

    /// Where a field stands.
    pub(super) fn field(&self, name: &str) -> Option<&Paths> {
        self.fields.get(name)
    }
}

fn read_rule(mut rule: Section) -> Result<Rule, MapError> {
    const MEMBERS: [&str; 7] = [
        "names",
        "scale",
        "accept",
        "reject",
        "accepted",
        "partially_accepted",
        "rejected",
    ];
    let names = rule.texts("names")?.unwrap_or_default();
    let scale = match rule.take("scale") {
        None => [0.0, 1.0],
        Some(toml::Value::Array(ends)) => match ends.iter().map(number).collect::<Vec<_>>()[..] {
            [Some(low), Some(high)] if low < high => [low, high],
            _ => return Err(rule.wrong("scale", "must be [worst, best], the worst below")),
        },
        Some(_) => return Err(rule.wrong("scale", "must be [worst, best]")),
    };
    let mut bound = |name: &str, default: f64| match rule.take(name).map(|value| number(&value)) {
        None => Ok(default),
        Some(Some(bound)) if (scale[0]..=scale[1]).contains(&bound) => Ok(bound),
        Some(_) => {
            let reason = format!("must be a number from {} to {}", scale[0], scale[1]);
            Err(rule.wrong(name, reason))
        }
    };
    let span = scale[1] - scale[0];
    let accept = bound("accept", scale[0] + 0.7 * span)?;
    let reject = bound("reject", scale[0] + 0.3 * span)?;
    if reject >= accept {
        return Err(rule.wrong("reject", "must be below accept"));
    }
    let mut words = |name: &str| {
        let words = rule.texts(name)?.unwrap_or_default();
        Ok::<_, MapError>(words.iter().map(|word| word.to_lowercase()).collect())
    };
    let read = Rule {
        accepted: words("accepted")?,
        partially_accepted: words("partially_accepted")?,
        rejected: words("rejected")?,
        names,
        scale,
        accept,
        reject,
    };
    rule.end(&MEMBERS)?;
    Ok(read)
}

fn conditions(mut section: Section) -> Result<Vec<(Pointer, Vec<Value>)>, MapError> {
    let paths: Vec<String> = section.table.keys().cloned().collect();
    let mut found = Vec::new();
    for path in paths {
        let pointer = Pointer::parse(&path).map_err(|reason| section.wrong(&path, reason))?;
        let values = match section.take(&path) {
            Some(toml::Value::Array(values)) => values,
            Some(one) => vec![one],
            None => Vec::new(),
        };
        let plain = |value: toml::Value| match value {
            toml::Value::String(text) => Some(Value::from(text)),
            toml::Value::Integer(whole) => Some(Value::from(whole)),
            toml::Value::Boolean(flag) => Some(Value::from(flag)),
            _ => None,
        };
        let values: Option<Vec<Value>> = values.into_iter().map(plain).collect();
        let Some(values) = values.filter(|values| !values.is_empty()) else {
            let reason = "must be a list of texts, whole numbers or booleans";
            return Err(section.wrong(&path, reason));
        };
        found.push((pointer, values));
    }
    Ok(found)
}

fn roles(mut section: Section) -> Result<BTreeMap<String, &'static str>, MapError> {
    let names: Vec<String> = section.table.keys().cloned().collect();
    let mut found = BTreeMap::new();
    for name in names {
        let role = section.text(&name)?.unwrap_or_default();
        let Some(known) = ROLES.iter().find(|known| **known == role) else {
            let reason = format!("must be one of {}, got {role:?}", ROLES.join(", "));
            return Err(section.wrong(&name, reason));
        };
        found.insert(name, *known);
    }
    Ok(found)
}

/// A table of the file, whose keys are taken out one by one.
struct Section {
    name: String,
    table: Table,
}

impl Section {
    fn new(name: &str, table: Table) -> Self {
        Self {
            name: name.to_owned(),
            table,
        }
    }

    fn take(&mut self, key: &str) -> Option<toml::Value> {
        self.table.remove(key)
    }

    fn wrong(&self, key: &str, reason: impl Into<String>) -> MapError {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-[]".contains(&byte);
        let key = match key.bytes().all(plain) {
            true => key.to_owned(),
            false => format!("{key:?}"),
        };
        let key = match self.name.as_str() {
            "" => key,
            table => format!("{table}.{key}"),
        };
        MapError::Key {
            key,
            reason: reason.into(),
        }
    }

    fn section(&mut self, key: &str) -> Result<Self, MapError> {
        match self.take(key) {
            None => Ok(Self::new(key, Table::new())),
            Some(toml::Value::Table(table)) => Ok(Self::new(key, table)),
            Some(_) => Err(self.wrong(key, format!("must be a table: [{key}]"))),
        }
    }

    fn sections(&mut self, key: &str) -> Result<Vec<Self>, MapError> {
        let tables = match self.take(key) {
            None => return Ok(Vec::new()),
            Some(toml::Value::Array(tables)) => tables,
            Some(_) => return Err(self.wrong(key, "must be a list of tables")),
        };
        let mut found = Vec::new();
        for (at, table) in tables.into_iter().enumerate() {
            let toml::Value::Table(table) = table else {
                return Err(self.wrong(key, "must be a list of tables"));
            };
            found.push(Self::new(&format!("{}.{key}[{at}]", self.name), table));
        }
        Ok(found)
    }

    fn text(&mut self, key: &str) -> Result<Option<String>, MapError> {
        match self.take(key) {
            None => Ok(None),
            Some(toml::Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(self.wrong(key, "must be a text")),
        }
    }

    fn texts(&mut self, key: &str) -> Result<Option<Vec<String>>, MapError> {
        let texts = match self.take(key) {
            None => return Ok(None),
            Some(toml::Value::String(one)) => vec![one],
            Some(toml::Value::Array(many)) => {
                let text = |value: &toml::Value| value.as_str().map(str::to_owned);
                many.iter()
                    .map(text)
                    .collect::<Option<_>>()
                    .ok_or_else(|| self.wrong(key, "must be a text or a list of texts"))?
            }
            Some(_) => return Err(self.wrong(key, "must be a text or a list of texts")),
        };
        Ok(Some(texts))
    }

    fn paths(&mut self, key: &str) -> Result<Paths, MapError> {
        let texts = self.texts(key)?.unwrap_or_default();
        let parse = |text: &String| Pointer::parse(text).map_err(|reason| self.wrong(key, reason));
        Ok(Paths(texts.iter().map(parse).collect::<Result<_, _>>()?))
    }

    /// Refuses what nobody took.
    fn end(&self, known: &[&str]) -> Result<(), MapError> {
        let Some(unknown) = self.table.keys().next() else {
            return Ok(());
        };
        let distance = |name: &&str| strsim::osa_distance(unknown, name);
        let nearest = known.iter().copied().min_by_key(distance);
        let nearest = nearest.filter(|name| distance(name) <= 1 + name.len() / 3);
        let reason = match nearest {
            Some(name) => format!("unknown key; did you mean {name}?"),
            None => format!("unknown key; there are {}", known.join(", ")),
        };
        Err(self.wrong(unknown, reason))
    }
}

fn number(value: &toml::Value) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a scale has small numbers")]
    let number = match value {
        toml::Value::Integer(whole) => *whole as f64,
        toml::Value::Float(number) => *number,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

fn syntax(text: &str, error: &toml::de::Error) -> MapError {
    let before = error.span().and_then(|span| text.get(..span.start));
    MapError::Syntax {
        line: before.map_or(0, |before| before.matches('\n').count() + 1),
        reason: error.message().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_with_its_key() {
        let fine = "version = 1\n[fields]\nmessages = \"/messages\"\n";
        assert!(MapFile::parse(fine).is_ok());
        for (text, expected) in [
            ("", "version: is missing"),
            ("version = 2", "version: must be 1, got 2"),
            ("version = 1", "fields.messages: is missing"),
            ("version = 1\n= 2", "line 2: "),
            (
                "version = 1\nsorce = \"x\"\n[fields]\nmessages = \"/m\"",
                "sorce: unknown key; did you mean source?",
            ),
            (
                "version = 1\n[fields]\nmesages = \"/m\"",
                "fields.mesages: unknown key; did you mean messages?",
            ),
            (
                "version = 1\n[fields]\nmessages = \"m\"",
                "fields.messages: the path \"m\" must begin with /",
            ),
            (
                "version = 1\n[fields]\nmessages = [\"/m\", 7]",
                "fields.messages: must be a text or a list of texts",
            ),
            (
                "version = 1\nfields = 7",
                "fields: must be a table: [fields]",
            ),
        ] {
            let error = MapFile::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
        for (more, expected) in [
            (
                "[roles]\nhuman = \"usr\"",
                "roles.human: must be one of system",
            ),
            (
                "[only]\n\"type\" = [\"a\"]",
                "only.type: the path \"type\" must begin with /",
            ),
            (
                "[skip]\n\"/type\" = []",
                "skip.\"/type\": must be a list of texts",
            ),
            ("[defaults]\nmodel = 7", "defaults.model: must be a text"),
            (
                "[messages]\nrule = \"r\"",
                "messages.rule: unknown key; did you mean role?",
            ),
            (
                "[feedback]\nscores = \"/s\"",
                "feedback.rules: scores and rules belong together",
            ),
            (
                "[[feedback.rules]]\nnames = [\"a\"]",
                "feedback.rules: scores and rules",
            ),
            (
                "[feedback]\nscores = \"/s\"\n[[feedback.rules]]\nscale = [5, 1]",
                "feedback.rules[0].scale: must be [worst",
            ),
            (
                "[feedback]\nscores = \"/s\"\n[[feedback.rules]]\naccept = 2",
                "feedback.rules[0].accept: must be a number from 0 to 1",
            ),
            (
                "[feedback]\nscores = \"/s\"\n[[feedback.rules]]\naccept = 0.2",
                "feedback.rules[0].reject: must be below accept",
            ),
            (
                "[feedback]\nscores = \"/s\"\n[[feedback.rules]]\nname = \"a\"",
                "feedback.rules[0].name: unknown key; did you mean names?",
            ),
        ] {
            let error = MapFile::parse(&format!("{fine}{more}")).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{more:?}: {error}");
        }
    }
}
