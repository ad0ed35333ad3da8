use super::super::exporters::exporter;
use super::super::fixture::{chat, said, task};
use super::*;
use crate::types::evidence::Rating;

fn hit(id: &str, score: f32, text: &str) -> Hit {
    Hit {
        id: id.to_owned(),
        score,
        text: Some(text.to_owned()),
        payload: None,
        vector: None,
    }
}

fn accepted(collection: &str, id: &str, text: &str) -> Accepted {
    Accepted {
        collection: collection.to_owned(),
        id: id.to_owned(),
        text: text.to_owned(),
    }
}

fn question(accepted: Vec<Accepted>) -> Question {
    Question {
        key: "k".to_owned(),
        text: "When does the ferry leave?".to_owned(),
        accepted,
    }
}

const ANSWER: &str = "the ferry to the island leaves at nine from the old pier";

fn rules() -> MiningRules {
    MiningRules {
        k: 2,
        min_rank: 1,
        max_score: None,
        margin: None,
        likeness: 0.85,
    }
}

fn ids(chosen: &Chosen) -> Vec<&str> {
    chosen.negatives.iter().map(|one| one.id.as_str()).collect()
}

fn hits() -> Vec<Hit> {
    vec![
        hit("copy", 0.95, &ANSWER.to_uppercase()),
        hit("yes", 0.9, ANSWER),
        hit("near", 0.88, &format!("{ANSWER} now")),
        hit("empty", 0.87, " "),
        hit("a", 0.86, "the museum opens at ten"),
        hit("a2", 0.84, "The museum  opens at ten"),
        hit("b", 0.8, "the bakery sells bread"),
        hit("c", 0.7, "the lighthouse is closed"),
    ]
}

#[test]
fn the_hardest_that_nobody_accepted_are_chosen() {
    let question = question(vec![accepted("docs", "yes", ANSWER)]);
    let of = |rules: MiningRules| question.choose("docs", &hits(), &rules);
    let chosen = of(rules());
    assert_eq!(
        (ids(&chosen[0]), chosen[0].score),
        (vec!["a", "b"], Some(0.9))
    );
    assert_eq!(chosen[0].negatives[0].rank, 5);
    let table = [
        (MiningRules { k: 3, ..rules() }, vec!["a", "b", "c"]),
        (
            MiningRules {
                min_rank: 6,
                ..rules()
            },
            vec!["a2", "b"],
        ),
        (
            MiningRules {
                max_score: Some(0.82),
                ..rules()
            },
            vec!["b", "c"],
        ),
        (
            MiningRules {
                margin: Some(0.05),
                ..rules()
            },
            vec!["a2", "b"],
        ),
        (
            MiningRules {
                margin: Some(0.15),
                ..rules()
            },
            vec!["c"],
        ),
        // Without a likeness only the same words are an answer.
        (
            MiningRules {
                likeness: 0.0,
                ..rules()
            },
            vec!["near", "a"],
        ),
    ];
    for (rules, expected) in table {
        assert_eq!(ids(&of(rules)[0]), expected, "{rules:?}");
    }
}

#[test]
fn each_passage_that_answered_has_its_own_margin_and_none_is_a_negative() {
    let question = question(vec![
        accepted("docs", "yes", ANSWER),
        accepted("docs", "b", "the bakery sells bread"),
        accepted("docs", "gone", "what the search does not find"),
        accepted("other", "a", "of another collection"),
    ]);
    let rules = MiningRules {
        margin: Some(0.05),
        ..rules()
    };
    let chosen = question.choose("docs", &hits(), &rules);
    let found: Vec<_> = chosen.iter().map(|one| (ids(one), one.score)).collect();
    // The same id in another collection is another passage.
    assert_eq!(
        found,
        [
            (vec!["a2", "c"], Some(0.9)),
            (vec!["c"], Some(0.8)),
            (vec![], None),
            (vec![], None),
        ]
    );
}

fn cites(id: &str, text: &str) -> PassageEvidence {
    PassageEvidence {
        collection: "docs".to_owned(),
        id: id.to_owned(),
        score: 0.5,
        text: text.to_owned(),
        cited: true,
    }
}

fn answered(seq: u64, question: &str, cited: &[&str], outcome: Outcome) -> Task {
    let mut chat = chat(question, "a [1]");
    chat.passages = cited.iter().map(|id| cites(id, ANSWER)).collect();
    task(seq, chat, outcome, None)
}

#[test]
fn questions_are_those_of_accepted_answers_that_cite_with_all_that_was_accepted() {
    let (triplets, recipe) = (exporter("triplets").unwrap(), Recipe::default());
    let mut edited = answered(5, "Only edited?", &["9"], Outcome::Accepted);
    edited.original_answer = Some("before".to_owned());
    edited.feedback = Some(said(Rating::Accepted, Some("a")));
    let mut questions = Questions::default();
    for task in [
        answered(1, "When?", &["1"], Outcome::Accepted),
        answered(2, " when? ", &["2", "1"], Outcome::PartiallyAccepted),
        answered(3, "Bad?", &["1"], Outcome::Rejected),
        answered(4, "Nothing?", &[], Outcome::Accepted),
        edited,
        answered(6, "Partly?", &["1"], Outcome::PartiallyAccepted),
    ] {
        questions.take(&task, triplets, &recipe);
    }
    let found = questions.finish();
    assert_eq!(found.len(), 1, "{found:?}");
    let ids: Vec<&str> = found[0]
        .accepted
        .iter()
        .map(|one| one.id.as_str())
        .collect();
    assert_eq!((found[0].text.as_str(), ids), ("When?", vec!["1", "2"]));
}

#[test]
fn what_was_mined_is_in_the_rows_and_their_origin() {
    use super::super::counts::Placed;
    use super::super::export::Export;
    use super::super::flavour::Flavour;

    let recipe = Recipe::default();
    let rules = MiningRules {
        margin: Some(0.05),
        ..rules()
    };
    let tasks = [
        answered(1, "When?", &["yes"], Outcome::Accepted),
        answered(2, "Where?", &["gone"], Outcome::Accepted),
        answered(3, "Why?", &["yes"], Outcome::Accepted),
    ];
    let mut mined = Mined::new("docs", &rules);
    for (task, hits) in tasks
        .iter()
        .zip([hits(), hits(), vec![hit("yes", 0.9, ANSWER)]])
    {
        let cited = &task.passages[0];
        let question = Question {
            key: task.key.clone(),
            ..question(vec![accepted("docs", &cited.id, &cited.text)])
        };
        let chosen = question.choose("docs", &hits, &rules);
        mined.keep(question.key, chosen);
    }
    assert_eq!(mined.len(), 2);
    let export = Export::new(exporter("triplets").unwrap(), Flavour::Trl, &recipe, 0.0);
    let mut export = export.unwrap().unwrap().with_negatives(Some(&mined));
    let placed: Vec<Placed> = tasks.iter().flat_map(|task| export.add(task)).collect();
    let rows: Vec<_> = placed
        .iter()
        .filter_map(|one| match one {
            Placed::Row { line, about, .. } => Some((line.as_str(), about.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(rows.len(), 2);
    let expected = format!(
        r#"{{"anchor":"When?","positive":"{ANSWER}","negative":"The museum  opens at ten"}}"#
    );
    assert_eq!(rows[0].0, expected);
    let about: Value = serde_json::from_str(rows[0].1).unwrap();
    for (name, value) in [
        ("positive_score", 0.9.into()),
        ("negatives", "mined".into()),
        ("negative_collection", "docs".into()),
        ("negative_id", "a2".into()),
        ("negative_rank", 6.into()),
        ("negative_score", Value::from(0.84)),
    ] {
        assert_eq!(about[name], value, "{name}");
    }
    let skipped = &export.counts().skipped;
    assert_eq!(
        (skipped["positive_not_found"], skipped["no_negatives"]),
        (1, 1)
    );
    assert!(export.counts().reconcile());
}
