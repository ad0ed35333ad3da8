//! Which command asks which operation of the HTTP API: the one table. `docs/CLI.md` shows it, and a test runs every line of it
//! against a server.

use std::fmt::Write as _;

/// An operation by its id in `/openapi.json`, and a command line that asks it.
const ASKED: &[(&str, &str)] = &[
    ("list_models", "models served"),
    ("get_model", "models served static-minilm"),
    ("create_embeddings", "embed boat"),
    ("create_chat_completion", "chat hello"),
    ("iterate", "iterate hello --kind email"),
    ("list_collections", "collection list"),
    ("create_collection", "collection create docs"),
    ("get_collection", "collection show docs"),
    ("upsert_points", "points upsert docs points.jsonl"),
    ("get_point", "points get docs a"),
    ("scroll_points", "points scroll docs"),
    ("count_points", "points count docs"),
    ("search_collection", "search docs boat"),
    (
        "search_collection_batch",
        "search docs --each questions.txt",
    ),
    ("recommend_points", "recommend docs a"),
    ("index_field", "collection index-field docs year integer"),
    ("drop_field_index", "collection drop-index docs year"),
    ("start_moving", "collection move docs --to hnsw"),
    ("get_moving", "collection move docs"),
    ("cancel_moving", "collection move docs --cancel"),
    ("start_reembedding", "collection reembed docs"),
    ("get_reembedding", "collection reembed docs"),
    ("cancel_reembedding", "collection reembed docs --cancel"),
    (
        "export_collection",
        "collection export docs --to docs.jsonl",
    ),
    ("import_points", "collection import docs --from docs.jsonl"),
    ("delete_points", "points delete docs a"),
    ("delete_collection", "collection delete docs --yes"),
    ("validate", "validate email draft.json"),
    ("list_validators", "validators list"),
    ("reload_tables", "validators reload"),
    ("give_feedback", "feedback chatcmpl-1 accepted"),
    ("list_evidence", "evidence list"),
    ("get_evidence_head", "evidence head"),
    (
        "erase_evidence",
        "evidence erase --user ann --reason asked --yes",
    ),
    ("import_evidence", "import conversations.jsonl --map openai"),
    ("materialize", "materialize"),
    ("create_export", "export sft"),
    ("list_exports", "export --list"),
    ("get_dataset_job", "jobs list"),
    ("cancel_dataset_job", "jobs cancel datasets"),
    ("list_review", "review list"),
    ("get_review_task", "review show chatcmpl-1"),
    ("decide_review_task", "review decide chatcmpl-1 accept"),
    ("get_usage", "usage"),
    ("get_backup", "backup --to house.tar"),
    ("push", "push"),
    ("get_push", "push --status"),
    ("cancel_push", "jobs cancel push"),
    ("pull", "pull"),
    ("get_supervisors", "supervisors tree --once"),
    ("restart_cell", "supervisors restart embedding"),
    ("crash_cell", "supervisors crash embedding"),
    ("list_dead_letters", "supervisors dead-letters"),
    (
        "release_dead_letter",
        "supervisors release 3f1c9a0b77aa12de",
    ),
    ("forget_dead_letter", "supervisors forget 3f1c9a0b77aa12de"),
    ("reload_policies", "supervisors reload"),
    ("reload_settings", "config reload"),
    ("get_readiness", "health"),
    ("mcp", "mcp"),
];

/// Operations without a command, and why.
const UNASKED: &[(&str, &str)] = &[
    (
        "create_message",
        "the language of Anthropic's clients; `chat` asks the same models",
    ),
    (
        "create_response",
        "the language of OpenAI's newer clients; `chat` asks the same models",
    ),
    (
        "ollama_chat",
        "the language of Ollama's clients; `chat` asks the same models",
    ),
    ("ollama_generate", "the same"),
    ("ollama_embed", "the same; `embed` asks the same models"),
    ("ollama_embeddings", "the same"),
    (
        "ollama_tags",
        "the same; `models served` lists the same models",
    ),
    (
        "ollama_version",
        "the same; `boathouse --version` is that of the binary",
    ),
    (
        "get_liveness",
        "for what watches the process; `health` asks whether it serves, which a dead one does not",
    ),
    ("get_metrics", "for Prometheus"),
    ("get_openapi", "for tools"),
    (
        "inject_fault",
        "for drills with a binary that was built for them (feature `chaos`)",
    ),
];

/// Commands, or groups of them, that are not one operation, and what they are.
const OTHERS: &[(&str, &str)] = &[
    ("serve", "is the server"),
    ("demo", "the whole loop, by many operations"),
    (
        "ingest",
        "files and folders, by those of collections and points",
    ),
    ("tree", "the same as `supervisors tree`"),
    (
        "replay",
        "questions of the tasks, by those of chat, embeddings and validation",
    ),
    ("bench", "load, by those of embeddings, searches and chat"),
    ("eval", "an evaluation set, here or by `export_collection`"),
    ("audit", "reads the folder"),
    ("backup verify", "reads a file"),
    ("restore", "writes a folder"),
    ("collection check", "reads the folder"),
    (
        "collection repair",
        "writes the folder of a server that is stopped",
    ),
    ("models pull", "writes the folder"),
    ("models list", "reads the folder"),
    ("models check", "reads the folder"),
    ("roster", "writes a file"),
    (
        "keys",
        "reads and writes the folder: no request may make a key",
    ),
    (
        "doctor",
        "looks at the machine, and asks a server whether it is ready",
    ),
    ("config show", "reads settings"),
    ("config check", "reads settings"),
    ("config docs", "prints what is compiled in"),
    ("config schema", "prints what is compiled in"),
    ("api", "any operation"),
    ("completions", "prints what is compiled in"),
    ("man", "prints what is compiled in"),
];

/// The section of `docs/CLI.md`.
pub(super) fn section() -> String {
    let mut text = "## The HTTP API\n\nWhat the API does, a command does; `boathouse api` asks whatever has none.\n".to_owned();
    for (head, rows, command) in [
        ("operation | command", ASKED, true),
        ("operation without a command | why", UNASKED, false),
    ] {
        let _ = write!(text, "\n| {head} |\n|---|---|\n");
        for (operation, about) in rows {
            // Writing to a String cannot fail.
            let _ = match command {
                true => writeln!(text, "| `{operation}` | `boathouse {about}` |"),
                false => writeln!(text, "| `{operation}` | {about} |"),
            };
        }
    }
    text.push_str("\n| command that is not one operation | what it is |\n|---|---|\n");
    for (command, about) in OTHERS {
        let _ = writeln!(text, "| `boathouse {command}` | {about} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The names of all commands that do something, such as `collection list`.
    fn leaves(command: &clap::Command, above: &str, found: &mut BTreeSet<String>) {
        let all = command.get_subcommands();
        let below = all.filter(|one| !one.is_hide_set() && one.get_name() != "help");
        let mut group = false;
        for one in below {
            group = true;
            let name = format!("{above} {}", one.get_name());
            leaves(one, name.trim(), found);
        }
        let only_a_group = group && command.is_subcommand_required_set();
        if !(above.is_empty() || only_a_group) {
            found.insert(above.to_owned());
        }
    }

    fn begins(line: &str, command: &str) -> bool {
        let rest = line.strip_prefix(command);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    }

    #[test]
    fn every_command_asks_an_operation_or_says_what_it_does_instead() {
        let mut all = BTreeSet::new();
        leaves(&super::super::command(), "", &mut all);
        assert!(
            all.contains("collection list") && all.contains("backup"),
            "{all:?}"
        );
        for command in &all {
            let asks = ASKED.iter().any(|(_, line)| begins(line, command));
            let other = OTHERS.iter().any(|(other, _)| begins(command, other));
            assert!(asks || other, "{command} stands in no table of {}", file!());
        }
        for (command, _) in OTHERS {
            let known = all.iter().any(|one| begins(one, command));
            assert!(known, "there is no command {command}");
            let twice = ASKED.iter().any(|(_, line)| begins(line, command));
            assert!(!twice, "{command} asks an operation");
        }
    }

    #[test]
    fn every_line_is_one_that_the_command_line_takes() {
        for (operation, line) in ASKED {
            let words = std::iter::once("boathouse").chain(line.split(' '));
            let parsed = super::super::command().try_get_matches_from(words);
            assert!(
                parsed.is_ok(),
                "{operation}: {line}: {}",
                parsed.unwrap_err()
            );
        }
    }
}
