//! The report for people: one page that needs nothing besides itself.

use std::fmt::{self, Write as _};

use similar::{ChangeTag, TextDiff};

use super::{Cost, Mean, Replayed, Summary, digits};
use crate::types::plain::counted;

/// Tasks that are shown one by one, those that fell back most first.
const SHOWN: usize = 200;
/// Characters of a text that are compared word by word: the work grows with the square of what differs.
const COMPARED: usize = 4_000;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color-scheme:light dark}\
table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #8884}\
td:first-child,th:first-child{text-align:left}article{border-top:1px solid #8886;margin-top:1rem;padding-top:.5rem}\
del{background:#d7303055;text-decoration:line-through}ins{background:#2a9d4a55;text-decoration:none}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit}small{opacity:.7}";

/// Writes the page.
pub fn html(title: &str, summary: &Summary, lines: &[Replayed]) -> String {
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut page, title, summary, lines);
    page
}

fn write(page: &mut String, title: &str, summary: &Summary, lines: &[Replayed]) -> fmt::Result {
    let title = escaped(title);
    write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style><h1>{title}</h1><p>{} tasks, {} without an answer. Intervals hold 95 of \
         100 samples drawn anew; a difference whose interval holds 0 is none.</p><table><tr><th>measure<th>candidate\
         <th>recorded<th>difference<th>tasks</tr>",
        summary.tasks, summary.failed
    )?;
    for (name, mean) in &summary.candidate {
        write!(
            page,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
            escaped(name),
            shown(Some(mean)),
            shown(summary.recorded.get(name)),
            shown(summary.difference.get(name)),
            mean.tasks
        )?;
    }
    let cost = &summary.cost;
    write!(
        page,
        "</table><p>In sum, US dollars: candidate {}; recorded {}; difference {}.</p><h2>Task by task</h2>",
        money(&cost.candidate),
        money(&cost.recorded),
        money(&cost.difference)
    )?;
    let worst = worst_first(lines);
    if worst.len() > SHOWN {
        write!(
            page,
            "<p>The {SHOWN} of {} that fell back most.</p>",
            worst.len()
        )?;
    }
    for line in worst.into_iter().take(SHOWN) {
        article(page, line)?;
    }
    page.push_str("</html>\n");
    Ok(())
}

fn article(page: &mut String, line: &Replayed) -> fmt::Result {
    write!(
        page,
        "<article><h3>{}</h3><p><small>{}",
        escaped(&line.question),
        escaped(&line.id)
    )?;
    for (name, value) in &line.candidate {
        write!(page, " · {} {}", escaped(name), number(*value))?;
    }
    if line.answer.is_some() && !line.candidate.contains_key(super::COST) {
        page.push_str(" · cost not known");
    }
    page.push_str("</small></p>");
    match (&line.answer, &line.error) {
        (Some(answer), _) => {
            page.push_str("<pre>");
            words(page, &line.reference, answer)?;
            page.push_str("</pre>");
        }
        (None, error) => write!(
            page,
            "<p><b>No answer:</b> {}</p><pre>{}</pre>",
            escaped(error.as_deref().unwrap_or_default()),
            escaped(&line.reference)
        )?,
    }
    page.push_str("</article>");
    Ok(())
}

/// A part of two texts that were compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// In both.
    Same(String),
    /// In the first one only.
    Left(String),
    /// In the second one only.
    Added(String),
}

/// What the candidate left out and what it added, word by word. Ends with `…` where a text is too long to be compared whole.
pub fn compare(reference: &str, answer: &str) -> Vec<Compared> {
    let compared = |text: &str| text.chars().take(COMPARED).collect::<String>();
    let (old, new) = (compared(reference), compared(answer));
    let diff = TextDiff::from_words(old.as_str(), new.as_str());
    let parts = diff.iter_all_changes().map(|change| {
        let text = change.value().to_owned();
        match change.tag() {
            ChangeTag::Equal => Compared::Same(text),
            ChangeTag::Delete => Compared::Left(text),
            ChangeTag::Insert => Compared::Added(text),
        }
    });
    let cut = old.len() < reference.len() || new.len() < answer.len();
    parts
        .chain(cut.then(|| Compared::Same("…".to_owned())))
        .collect()
}

fn words(page: &mut String, reference: &str, answer: &str) -> fmt::Result {
    for part in compare(reference, answer) {
        match part {
            Compared::Same(text) => page.push_str(&escaped(&text)),
            Compared::Left(text) => write!(page, "<del>{}</del>", escaped(&text))?,
            Compared::Added(text) => write!(page, "<ins>{}</ins>", escaped(&text))?,
        }
    }
    Ok(())
}

/// Orders tasks by how far they fell back, most first.
pub fn worst_first(lines: &[Replayed]) -> Vec<&Replayed> {
    let mut worst: Vec<&Replayed> = lines.iter().collect();
    worst.sort_by(|a, b| fall(a).total_cmp(&fall(b)).then_with(|| a.id.cmp(&b.id)));
    worst
}

/// How a task fared against what was recorded, the worse the smaller.
fn fall(line: &Replayed) -> f64 {
    ["similarity", "overlap"]
        .into_iter()
        .find_map(|name| Some(line.candidate.get(name)? - line.recorded.get(name)?))
        .unwrap_or_default()
}

fn shown(mean: Option<&Mean>) -> String {
    mean.map_or_else(String::new, |mean| {
        let (mean, low, high) = (number(mean.mean), number(mean.low), number(mean.high));
        format!("{mean} <small>{low} to {high}</small>")
    })
}

/// A sum, and of how many tasks nobody knows what they cost.
fn money(cost: &Cost) -> String {
    match (&cost.sum, cost.unknown) {
        (None, _) => "not known".to_owned(),
        (sum, 0) => shown(sum.as_ref()),
        (sum, unknown) => {
            let unknown = counted(unknown, "task");
            format!("{}, {unknown} not known", shown(sum.as_ref()))
        }
    }
}

fn number(value: f64) -> String {
    let digits = digits(value);
    format!("{value:.digits$}")
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            sign => out.push(sign),
        }
    }
    out
}
