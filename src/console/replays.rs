//! The replays in the data folder: their reports, and what the candidate answered, word by word against what was accepted.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::figures::{size, usd};
use super::page::{failure, page, table};
use crate::services::Services;
use crate::services::replay::{
    self, Compared, Cost, Listed, Mean, Replayed, Report, Summary, compare, digits, is_better_low,
};
use crate::types::plain::counted;

const HERE: &str = "/console/replays";
/// Tasks of a page.
const TASKS: usize = 20;

/// Where the tasks go on.
#[derive(Debug, Default, Deserialize)]
pub(super) struct From {
    #[serde(default)]
    from: usize,
}

pub(super) async fn list(services: Data<Services>) -> HttpResponse {
    match replay::list(&services).await {
        Ok(found) => page(HERE, "Replays", &listed(&found)),
        Err(error) => failure(HERE, "Replays", &error),
    }
}

fn listed(found: &[Listed]) -> Markup {
    html! {
        p.note {
            "Questions of production, asked again of a candidate. " code { "boathouse replay NAME --model OTHER" }
            " makes one; this page reads what it wrote."
        }
        @if found.is_empty() {
            p.empty { "None yet." }
        } @else {
            (table("Replays", &["Name", "Candidate", "#Tasks", "#Without an answer", "Likeness", "Report"], &html! {
                @for one in found {
                    tr {
                        th scope="row" { a href={ (HERE) "/" (one.name) } { (one.name) } }
                        td { @if let Some(report) = &one.report { (candidate(report)) } }
                        td.n { (size(one.done)) }
                        @match &one.report {
                            Some(report) => {
                                td.n { (size(report.summary.failed)) }
                                td { (mean(report.summary.candidate.get("similarity"))) }
                                td { span.state.s-ready { "whole" } }
                            }
                            None => {
                                td {} td {}
                                td { span.state.s-starting { "under way or stopped" } }
                            }
                        }
                    }
                }
            }))
        }
    }
}

/// The candidate in a line.
fn candidate(report: &Report) -> String {
    let plan = report.plan();
    let model = plan
        .candidate
        .model
        .as_deref()
        .unwrap_or("the models as recorded");
    match &plan.candidate.system {
        Some(_) => format!("{model}, another instruction"),
        None => model.to_owned(),
    }
}

pub(super) async fn one(
    services: Data<Services>,
    name: Path<String>,
    from: Query<From>,
) -> HttpResponse {
    let (report, tasks) = match replay::read_one(&services, &name).await {
        Ok(found) => found,
        Err(error) => return failure(HERE, "Replay", &error),
    };
    let next = from.from.saturating_add(TASKS);
    page(
        HERE,
        &format!("Replay {}", name.as_str()),
        &html! {
            @match &report {
                Some(report) => { (means(&report.summary)) (asked(report)) }
                None => { p.note { "No report yet: the same command goes on where it was stopped, and writes it." } }
            }
            h2 { "Task by task" }
            p.note { "Those that fell back most come first. " del { "Left out" } ", " ins { "added" } " against what was accepted." }
            @for task in tasks.iter().skip(from.from).take(TASKS) { (article(task)) }
            @if next < tasks.len() {
                p.pages { a href={ (HERE) "/" (name.as_str()) "?from=" (next) } rel="next" { "Next page" } }
            }
        },
    )
}

fn asked(report: &Report) -> Markup {
    html! { details { summary { "What was asked of whom" } pre.code { (format!("{:#}", json!(report.plan()))) } } }
}

fn means(summary: &Summary) -> Markup {
    html! {
        p.note {
            (counted(size(summary.tasks), "task")) ", " (size(summary.failed)) " without an answer. Intervals hold 95 of 100 samples drawn anew; a "
            "difference whose interval holds 0 is none."
        }
        (table("Means", &["Measure", "Candidate", "Recorded", "Difference", "#Tasks"], &html! {
            @for (name, value) in &summary.candidate {
                @let difference = summary.difference.get(name);
                tr {
                    th scope="row" { (name.replace('_', " ")) }
                    td { (mean(Some(value))) }
                    td { (mean(summary.recorded.get(name))) }
                    td class=[difference.and_then(|difference| tone(name, difference))] { (mean(difference)) }
                    td.n { (size(value.tasks)) }
                }
            }
            tr {
                th scope="row" { "cost in all" }
                td { (cost(&summary.cost.candidate)) }
                td { (cost(&summary.cost.recorded)) }
                td { (cost(&summary.cost.difference)) }
                td {}
            }
        }))
    }
}

/// Whether a difference is one, and for the better.
fn tone(name: &str, difference: &Mean) -> Option<&'static str> {
    let better = match (difference.low > 0.0, difference.high < 0.0) {
        (true, _) => !is_better_low(name),
        (_, true) => is_better_low(name),
        _ => return None,
    };
    Some(if better { "good" } else { "bad" })
}

fn mean(mean: Option<&Mean>) -> String {
    mean.map_or_else(String::new, |mean| {
        let [mean, low, high] = [mean.mean, mean.low, mean.high].map(number);
        format!("{mean} [{low}, {high}]")
    })
}

fn number(value: f64) -> String {
    format!("{value:.*}", digits(value))
}

fn cost(cost: &Cost) -> String {
    let sum = cost.sum.as_ref();
    let sum = sum.map_or_else(|| "not known".to_owned(), |sum| usd(sum.mean));
    match cost.unknown {
        0 => sum,
        unknown => format!("{sum}, {} unknown", size(unknown)),
    }
}

fn article(task: &Replayed) -> Markup {
    html! {
        article.panel.diff {
            h3 { (task.question) }
            p.note {
                code { (task.id) }
                @for (name, value) in &task.candidate {
                    " · " (name.replace('_', " ")) " " (number(*value))
                }
            }
            @match &task.answer {
                Some(answer) => {
                    p.text {
                        @for part in compare(&task.reference, answer) {
                            @match part {
                                Compared::Same(text) => { (text) }
                                Compared::Left(text) => { del { (text) } }
                                Compared::Added(text) => { ins { (text) } }
                            }
                        }
                    }
                }
                None => {
                    p.alert { "No answer: " (task.error.as_deref().unwrap_or("")) }
                    p.text { (task.reference) }
                }
            }
        }
    }
}
