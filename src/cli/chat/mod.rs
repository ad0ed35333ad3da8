//! `boathouse chat`: one question, or a conversation in the terminal, with retrieval and citations.

mod answer;
mod events;
mod session;

use std::io::IsTerminal as _;
use std::path::Path;

use clap::Args;
use serde_json::{Value, json};

use super::client::Client;
use super::error::CliError;
use super::ingest::collection_name;
use super::server::{self, ServerArgs};
use super::{input, output};
use crate::config::Overrides;
use crate::types::http::Method;

const EXAMPLES: &str = "Examples:
  boathouse chat                                          a conversation, on a terminal
  boathouse chat --collection docs                        the same over a collection, with citations
  boathouse chat 'What happens when the queue is full?' --collection docs
  boathouse chat 'Why?' --model openrouter/some-model --system 'Answer in one sentence.'
  git diff | boathouse chat - --system 'Write a commit message for this diff.'
  boathouse chat 'Why?' --json | jq -r '.choices[0].message.content'

`boathouse models served` lists the models. In a conversation /reset forgets what was said, /help lists what there is, and Ctrl-D
or /quit ends it. The answer's id, for `boathouse feedback`, is in --json and on stderr.";

/// Where an answer comes from.
const PATH: &str = "/v1/chat/completions";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ChatArgs {
    /// What is asked; - is stdin. Left out: a conversation on a terminal, else stdin
    question: Option<String>,
    /// Who is asked: a route, an alias, provider/model; default chat.default of the settings
    #[arg(long)]
    model: Option<String>,
    /// Instructions that stand before the conversation
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Answer from the passages of this collection
    #[arg(long, value_parser = collection_name)]
    collection: Option<String>,
    /// Most passages: 1 to 100; default 5
    #[arg(short, requires = "collection", value_name = "COUNT")]
    k: Option<usize>,
    /// Only passages whose payload matches: JSON, or @FILE
    #[arg(long, requires = "collection", value_name = "JSON|@FILE")]
    filter: Option<String>,
    /// Only passages of this role, or of none
    #[arg(long, requires = "collection")]
    role: Option<String>,
    /// How passages are looked for; default hybrid
    #[arg(long, requires = "collection", value_parser = ["dense", "lexical", "hybrid"])]
    mode: Option<String>,
    /// Leave out passages that score less
    #[arg(
        long,
        requires = "collection",
        value_name = "SCORE",
        allow_negative_numbers = true,
        value_parser = input::finite
    )]
    min_score: Option<f64>,
    /// Randomness, 0 to 2
    #[arg(long, value_parser = input::finite)]
    temperature: Option<f64>,
    /// Most tokens of an answer
    #[arg(long, value_name = "COUNT")]
    max_tokens: Option<u32>,
    /// Who asks; kept with the evidence
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Print the server's whole answer as JSON, when it is there
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

impl ChatArgs {
    /// The body but for the conversation.
    fn body(&self) -> Result<Value, CliError> {
        let filter = self.filter.as_deref();
        let filter = filter.map(|given| input::json(given, "the filter"));
        let retrieval = match &self.collection {
            None => None,
            Some(collection) => Some(Value::Object(input::object([
                ("collection", Some(json!(collection))),
                ("k", self.k.map(Value::from)),
                ("filter", filter.transpose()?),
                ("role", self.role.clone().map(Value::from)),
                ("mode", self.mode.clone().map(Value::from)),
                ("min_score", self.min_score.map(Value::from)),
            ]))),
        };
        Ok(Value::Object(input::object([
            ("model", self.model.clone().map(Value::from)),
            ("retrieval", retrieval),
            ("temperature", self.temperature.map(Value::from)),
            ("max_tokens", self.max_tokens.map(Value::from)),
            ("user", self.user.clone().map(Value::from)),
        ])))
    }

    /// What stands before the first question.
    fn opening(&self) -> Vec<Value> {
        let system = self.system.iter();
        system
            .map(|text| json!({"role": "system", "content": text}))
            .collect()
    }
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, args: &ChatArgs) -> Result<(), CliError> {
    let body = args.body()?;
    let question = match args.question.as_deref() {
        None if std::io::stdin().is_terminal() => {
            if args.json {
                return Err(CliError::failed(
                    "--json is for one question: give it, or - for stdin",
                ));
            }
            return server::ask(overrides, &args.server, async |client| {
                session::hold(client, body, args.opening()).await
            });
        }
        None | Some("-") => input::read_text(Path::new("-"))?,
        Some(question) => question.to_owned(),
    };
    if question.trim().is_empty() {
        return Err(CliError::failed("the question is empty"));
    }
    let mut messages = args.opening();
    messages.push(json!({"role": "user", "content": question}));
    server::ask(overrides, &args.server, async |client| match args.json {
        true => whole(client, body, &messages).await,
        false => answer::tell(client, body, &messages).await.map(|_| ()),
    })
}

/// Prints the server's answer as it is.
async fn whole(client: &Client, mut body: Value, messages: &[Value]) -> Result<(), CliError> {
    body["messages"] = json!(messages);
    let answer = client.must(Method::Post, PATH, Some(&body)).await?;
    output::say(answer);
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: ChatArgs,
    }

    #[test]
    fn flags_become_the_fields_of_a_request() {
        let line = "x q --model up/m --system brief --collection docs -k 3 --filter {\"a\":1} --role r --mode dense \
                    --min-score 0.1 --temperature 0 --max-tokens 9 --user ann";
        let args = Line::try_parse_from(line.split_whitespace()).unwrap().args;
        assert_eq!(
            args.body().unwrap(),
            json!({
                "model": "up/m", "temperature": 0.0, "max_tokens": 9, "user": "ann",
                "retrieval": {"collection": "docs", "k": 3, "filter": {"a": 1}, "role": "r", "mode": "dense", "min_score": 0.1},
            })
        );
        assert_eq!(
            args.opening(),
            [json!({"role": "system", "content": "brief"})]
        );
        let bare = Line::try_parse_from(["x", "q"]).unwrap().args;
        assert_eq!(bare.body().unwrap(), json!({}));
        assert!(Line::try_parse_from(["x", "q", "-k", "3"]).is_err());
    }
}
