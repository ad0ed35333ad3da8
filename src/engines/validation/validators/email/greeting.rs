//! Whether a mail greets the worker that it is about.

use super::rules;
use crate::engines::validation::Worker;
use crate::engines::validation::roster::folded;
use crate::engines::validation::shown::quoted;
use crate::types::validation::Finding;

const OPENINGS: &[&str] = &[
    "dear",
    "hi",
    "hello",
    "hey",
    "greetings",
    "good morning",
    "good afternoon",
    "good evening",
];
const TITLES: &[&str] = &[
    "mr", "mrs", "ms", "miss", "mx", "dr", "prof", "sir", "madam",
];
/// Greetings of nobody in particular.
const ANYONE: &[&str] = &[
    "again",
    "all",
    "both",
    "colleague",
    "colleagues",
    "everybody",
    "everyone",
    "folks",
    "friend",
    "friends",
    "hiring",
    "madam",
    "sir",
    "sirs",
    "team",
    "there",
    "to",
    "valued",
    "you",
];

/// Adds a finding if the body greets somebody else than `worker`.
pub(super) fn check(body: &str, worker: Option<Worker<'_>>, findings: &mut Vec<Finding>) {
    let (Some(worker), Some(greeted)) = (worker, greeted(body)) else {
        return;
    };
    if greeted.iter().any(|name| is_name_of(name, &worker)) {
        return;
    }
    let (who, first) = (greeted.join(" and "), worker.name().split(' ').next());
    findings.push(rules::NAME_MISMATCH.suggesting(
        "/body",
        format!(
            "greets {}, but {} is {}",
            quoted(&who),
            worker.id(),
            worker.name()
        ),
        Some(format!("greet {}", first.unwrap_or(worker.name()))),
    ));
}

/// The names in the greeting, if the first line is one that names somebody.
fn greeted(body: &str) -> Option<Vec<String>> {
    let line = body.lines().map(str::trim).find(|line| !line.is_empty())?;
    let rest = OPENINGS.iter().find_map(|opening| {
        let (head, rest) = line.split_at_checked(opening.len())?;
        let ends = rest.starts_with([' ', ',', '\t', '\u{a0}']);
        (head.eq_ignore_ascii_case(opening) && ends).then_some(rest)
    })?;
    let rest = rest.trim_start_matches([' ', ',', '\t', '\u{a0}']);
    let cut = rest.find([',', '!', ':', ';', '\u{2013}', '\u{2014}', '(']);
    let closed = rest.get(..cut.unwrap_or(rest.len()))?;
    // Without a mark, a sentence may go on after the name: only its capitals are a name.
    let marked = cut.is_some() || closed.split_whitespace().count() <= 2;
    let people = closed.replace(" & ", " and ").replace('/', " and ");
    let names: Vec<String> = people
        .split(" and ")
        .filter_map(|person| name(person, marked))
        .collect();
    (!names.is_empty()).then_some(names)
}

/// The words of one name; none if they are no name of a person.
fn name(person: &str, marked: bool) -> Option<String> {
    let words: Vec<&str> = person.split_whitespace().collect();
    let anyone = words
        .iter()
        .any(|word| ANYONE.contains(&folded(word).as_str()));
    // A placeholder is reported as one.
    let placeholder = words.iter().any(|word| {
        ["undefined", "null", "nan", "none", "nil"]
            .iter()
            .any(|w| word.eq_ignore_ascii_case(w))
    }) || person.contains(['[', ']', '{', '}', '<', '>', '*', '%', '$']);
    if anyone || placeholder || words.len() > 5 && marked {
        return None;
    }
    let capital = |word: &&&str| word.starts_with(char::is_uppercase);
    let named: Vec<&str> = match marked && words.len() <= 2 {
        true => words
            .iter()
            .copied()
            .filter(|w| w.starts_with(char::is_alphabetic))
            .collect(),
        false => words.iter().take_while(capital).copied().collect(),
    };
    (!named.is_empty()).then(|| named.join(" "))
}

fn is_name_of(name: &str, worker: &Worker<'_>) -> bool {
    let (greeted, known) = (folded(name), folded(worker.name()));
    let title = |word: &&str| TITLES.contains(&word.trim_end_matches('.'));
    let titled = greeted.split(' ').next().is_some_and(|word| title(&word));
    let words: Vec<&str> = greeted
        .split(' ')
        .skip_while(title)
        .map(|word| word.trim_end_matches('.'))
        .collect();
    let known: Vec<&str> = known.split(' ').collect();
    match words.as_slice() {
        // A title alone names nobody.
        [] => true,
        [one] => known.first() == Some(one) || titled && known.last() == Some(one),
        [first, rest @ ..] => {
            known.first() == Some(first) && rest.iter().all(|word| known.contains(word))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::validation::Roster;

    #[test]
    fn greetings_are_compared_with_the_record() {
        let roster = "worker_id,name,role,city,state,status\nW-1,Ana Maria López,w,J,IL,active";
        let roster = Roster::parse_csv(roster).unwrap();
        let cases = [
            ("Dear Ana,\nhi", true),
            ("\n\n  Hi ANA!", true),
            ("hello ana", true),
            ("Dear Ana Maria López,", true),
            ("Dear Ana López:", true),
            ("Dear Ms. López,", true),
            ("Good morning, Ana,", true),
            ("Hi Bob and Ana,", true),
            ("Hi Ana your shift starts at 8", true),
            ("Hi team,", true),
            ("Dear Sir or Madam,", true),
            ("Hi there, Bob told me", true),
            ("Hi, just checking in on the shift", true),
            ("Hide the file, please", true),
            ("Your shift is confirmed, Bob.", true),
            ("Dear {{name}},", true),
            ("", true),
            ("Dear Bob,", false),
            ("hi bob", false),
            ("Dear López,", false),
            ("Dear Mr. Smith,", false),
            ("Dear Ana Smith,", false),
            ("Dear Anabel,", false),
            ("Hi Bob & Carol,", false),
            ("Hi Bob your shift starts at 8", false),
        ];
        for (body, agrees) in cases {
            let mut findings = Vec::new();
            check(body, roster.find("W-1"), &mut findings);
            assert_eq!(findings.is_empty(), agrees, "{body}: {findings:?}");
        }
        let mut findings = Vec::new();
        check("Dear Bob,", None, &mut findings);
        assert!(findings.is_empty());
    }
}
