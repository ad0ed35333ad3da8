//! What is sent: the bodies of each kind of load.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::cli::client::escaped;
use crate::cli::error::CliError;
use crate::types::http::Method;

/// What texts are made of.
const WORDS: [&str; 24] = [
    "boat", "river", "lock", "tide", "engine", "rope", "harbour", "crew", "cargo", "night",
    "winter", "keeper", "bridge", "signal", "repair", "letter", "market", "island", "pilot",
    "storm", "ledger", "permit", "anchor", "morning",
];

/// What is asked.
#[derive(Debug, Subcommand)]
pub(super) enum Workload {
    /// Embed one text: known to the cache, or every time another
    Embed(EmbedArgs),
    /// Search a collection
    Search(SearchArgs),
    /// Ask a model
    Chat(ChatArgs),
    /// Any other request, again and again
    Request(RequestArgs),
}

#[derive(Debug, Args)]
pub(super) struct EmbedArgs {
    /// Send another text each time, so that no cache helps
    #[arg(long)]
    cold: bool,
    /// Words of a text, 1 to 10000
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    words: u16,
    /// Which embedding model; default the configured one
    #[arg(long)]
    model: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// Where
    #[arg(long)]
    collection: String,
    /// What is searched for; may be given several times. Default: sentences of eight words, each time another
    #[arg(long = "query", value_name = "TEXT", conflicts_with = "queries")]
    texts: Vec<String>,
    /// A file with a query a line
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    /// Hits of a search
    #[arg(long, default_value_t = 10)]
    k: u32,
    /// Only points that pass: the filter as JSON
    #[arg(long, value_name = "JSON")]
    filter: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ChatArgs {
    /// Who is asked; a provider may want money for each answer
    #[arg(long)]
    model: String,
    /// What is asked; may be given several times
    #[arg(
        long = "question",
        value_name = "TEXT",
        default_value = "What happens when the queue is full?"
    )]
    questions: Vec<String>,
    /// Answer from the passages of this collection
    #[arg(long)]
    collection: Option<String>,
    /// Have the answer streamed, and tell when its first bytes came
    #[arg(long)]
    stream: bool,
}

#[derive(Debug, Args)]
pub(super) struct RequestArgs {
    /// How
    #[arg(value_enum, ignore_case = true)]
    method: Verb,
    /// Where, such as /v1/validate
    path: String,
    /// A file with the body
    file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

/// Gives the body of each request.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) method: Method,
    pub(super) path: String,
    /// Told above the figures.
    pub(super) name: String,
    /// Whether the time to the first bytes tells something.
    pub(super) streamed: bool,
    bodies: Bodies,
}

#[derive(Debug)]
enum Bodies {
    /// In turns.
    Given(Vec<Vec<u8>>),
    /// With `text` put in as the member of this name.
    Made {
        template: Value,
        member: &'static str,
        words: u16,
    },
}

impl Load {
    /// The body of the request of this number, counted over all connections. `run` makes the texts of two runs differ.
    pub(super) fn body(&self, run: u64, number: u64) -> Vec<u8> {
        match &self.bodies {
            Bodies::Given(bodies) => {
                let count = bodies.len().max(1) as u64;
                let at = usize::try_from(number % count).unwrap_or_default();
                bodies.get(at).cloned().unwrap_or_default()
            }
            Bodies::Made {
                template,
                member,
                words,
            } => {
                let mut body = template.clone();
                body[*member] = json!(text(run, number, *words));
                body.to_string().into_bytes()
            }
        }
    }

    /// The only body there is, to be made once.
    pub(super) fn only_body(&self) -> Option<&[u8]> {
        match &self.bodies {
            Bodies::Given(bodies) if bodies.len() == 1 => bodies.first().map(Vec::as_slice),
            _ => None,
        }
    }
}

/// So many words, the first of which say the number: no two texts are the same.
fn text(run: u64, number: u64, words: u16) -> String {
    let mut text = format!("{run:x} {number}");
    // Any spread over the words will do.
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ run;
    for _ in 0..words.saturating_sub(2) {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from(state >> 33).unwrap_or_default() % WORDS.len();
        text.push(' ');
        text.push_str(WORDS[at]);
    }
    text
}

impl Workload {
    /// Makes the bodies.
    ///
    /// Errors: a file that cannot be read, a filter that is no JSON, a path without its `/`.
    pub(super) fn load(&self) -> Result<Load, CliError> {
        match self {
            Self::Embed(args) => Ok(args.load()),
            Self::Search(args) => args.load(),
            Self::Chat(args) => Ok(args.load()),
            Self::Request(args) => args.load(),
        }
    }
}

impl EmbedArgs {
    fn load(&self) -> Load {
        let mut body = json!({"input": text(0, 0, self.words)});
        if let Some(model) = &self.model {
            body["model"] = json!(model);
        }
        let kind = if self.cold { "every text new" } else { "warm" };
        Load {
            method: Method::Post,
            path: "/v1/embeddings".to_owned(),
            name: format!("embed, {kind}"),
            streamed: false,
            bodies: match self.cold {
                true => Bodies::Made {
                    template: body,
                    member: "input",
                    words: self.words,
                },
                false => given([body]),
            },
        }
    }
}

impl SearchArgs {
    fn load(&self) -> Result<Load, CliError> {
        let mut body = json!({"query": "", "k": self.k});
        if let Some(filter) = &self.filter {
            body["filter"] = serde_json::from_str(filter)
                .map_err(|error| CliError::failed(format!("the filter is no JSON: {error}")))?;
        }
        let mut texts = self.texts.clone();
        if let Some(file) = &self.queries {
            let read = String::from_utf8(read(file)?)
                .map_err(|_| CliError::failed(format!("{}: no UTF-8", file.display())))?;
            texts.extend(
                read.lines()
                    .filter(|line| !line.trim().is_empty())
                    .map(str::to_owned),
            );
            if texts.is_empty() {
                return Err(CliError::failed(format!(
                    "{}: no query in it",
                    file.display()
                )));
            }
        }
        let bodies = match texts.is_empty() {
            true => Bodies::Made {
                template: body,
                member: "query",
                words: 8,
            },
            false => given(texts.into_iter().map(|text| {
                let mut body = body.clone();
                body["query"] = json!(text);
                body
            })),
        };
        Ok(Load {
            method: Method::Post,
            path: format!("/v1/collections/{}/search", escaped(&self.collection)),
            name: format!("search {}", self.collection),
            streamed: false,
            bodies,
        })
    }
}

impl ChatArgs {
    fn load(&self) -> Load {
        let bodies = self.questions.iter().map(|question| {
            let mut body = json!({
                "model": self.model,
                "messages": [{"role": "user", "content": question}],
                "stream": self.stream,
            });
            if let Some(collection) = &self.collection {
                body["retrieval"] = json!({"collection": collection});
            }
            body
        });
        let how = if self.stream { ", streamed" } else { "" };
        Load {
            method: Method::Post,
            path: "/v1/chat/completions".to_owned(),
            name: format!("chat with {}{how}", self.model),
            streamed: self.stream,
            bodies: given(bodies),
        }
    }
}

impl RequestArgs {
    fn load(&self) -> Result<Load, CliError> {
        if !self.path.starts_with('/') {
            return Err(CliError::failed(format!(
                "{:?} is no path: it starts with /, such as /v1/validate",
                self.path
            )));
        }
        let body = self.file.as_deref().map(read).transpose()?;
        let (method, name) = match self.method {
            Verb::Get => (Method::Get, "GET"),
            Verb::Post => (Method::Post, "POST"),
            Verb::Put => (Method::Put, "PUT"),
            Verb::Delete => (Method::Delete, "DELETE"),
        };
        Ok(Load {
            method,
            path: self.path.clone(),
            name: format!("{name} {}", self.path),
            streamed: false,
            bodies: Bodies::Given(vec![body.unwrap_or_default()]),
        })
    }
}

fn given(bodies: impl IntoIterator<Item = Value>) -> Bodies {
    let bodies = bodies.into_iter().map(|body| body.to_string().into_bytes());
    Bodies::Given(bodies.collect())
}

fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(file).map_err(|error| CliError::failed(format!("{}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn new_texts_have_the_words_that_were_asked_for_and_never_repeat() {
        let texts: HashSet<String> = (0..2_000).map(|number| text(7, number, 12)).collect();
        assert_eq!(texts.len(), 2_000);
        assert!(texts.iter().all(|text| text.split(' ').count() == 12));
        assert_ne!(text(7, 3, 12), text(8, 3, 12));
    }

    #[test]
    fn several_questions_have_their_turns() {
        let args = ChatArgs {
            model: "m".to_owned(),
            questions: vec!["one".to_owned(), "two".to_owned()],
            collection: None,
            stream: false,
        };
        let load = args.load();
        assert!(load.only_body().is_none());
        let asked = |number| {
            let body: Value = serde_json::from_slice(&load.body(1, number)).unwrap();
            body["messages"][0]["content"].as_str().unwrap().to_owned()
        };
        assert_eq!([asked(0), asked(1), asked(2)], ["one", "two", "one"]);
    }
}
