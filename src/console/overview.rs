//! How the process is doing: a line on its health, and the last hour and month in charts. It asks no cell.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::Data;
use maud::{Markup, html};

use super::chart::{self, Frame, Line};
use super::figures::{bytes, count, percent, short, size, span, usd};
use super::page::{page, table};
use super::tree::summary;
use crate::services::health::{self, Figures};
use crate::services::trends::{self, Stretch};
use crate::services::usage::{self, UsageInput};
use crate::services::{Services, dataset};
use crate::types::plain::counted;
use crate::types::usage::UsageSums;

const HERE: &str = "/console";
/// Points of a line.
const POINTS: usize = 120;
/// Days of the bars.
const DAYS: u16 = 30;
/// Models of the table.
const MODELS: usize = 8;

pub(super) async fn show(services: Data<Services>) -> HttpResponse {
    let drawn = trends::stretches(&services, POINTS);
    let figures = health::figures(&services);
    let month = Month::read(&services);
    page(
        HERE,
        "Overview",
        &html! {
            div #live hx-get=(HERE) hx-trigger="every 5s" hx-select="#live" hx-swap="outerHTML" {
                (summary(&services))
                (tiles(&services, &figures, drawn.last()))
                h2 { "Last hour" }
                @if drawn.is_empty() {
                    p.empty { "The first figures come within ten seconds." }
                } @else {
                    div.charts { (hour(&drawn)) }
                    p.note { "Requests without those of this console." }
                }
                h2 { "Last " (DAYS) " days" }
                div.charts { (month.charts()) }
                (month.models())
            }
        },
    )
}

fn tiles(services: &Services, figures: &Figures, now: Option<&Stretch>) -> Markup {
    let job = dataset::job(services);
    let tile = |name: &str, value: String, more: String| {
        html! { div.tile { dt { (name) } dd { b { (value) } " " span.of { (more) } } } }
    };
    html! {
        dl.tiles {
            (tile("Requests", now.map_or_else(|| "–".to_owned(), |now| short(now.requests)), "a second".to_owned()))
            (tile("Collections", size(figures.collections), String::new()))
            (tile("Cached vectors", count(figures.cache.entries), bytes(figures.cache.bytes)))
            (tile("Cached answers", bytes(figures.kept.bytes), String::new()))
            @if let Some(name) = job.job {
                (tile("Dataset job", name, format!("{} of {}", count(job.done), counted(count(job.of), "line"))))
            }
        }
    }
}

fn hour(drawn: &[Stretch]) -> Markup {
    let begin = drawn.first().map_or(0, |first| first.until_ms);
    let end = drawn.last().map_or(0, |last| last.until_ms);
    let since = span(end.saturating_sub(begin));
    let frame = |title, top, unit| Frame {
        title,
        since: &since,
        until: "now",
        top,
        unit,
    };
    let line = |name, of: fn(&Stretch) -> Option<f64>| Line {
        name,
        values: drawn.iter().map(of).collect(),
    };
    html! {
        (chart::lines(&frame("Requests a second", None, short), &[
            line("all", |one| Some(one.requests)),
            line("failed", |one| Some(one.failed)),
        ]))
        (chart::lines(&frame("Latency", None, |ms| format!("{} ms", short(ms))), &[
            line("p50", |one| one.p50_ms),
            line("p99", |one| one.p99_ms),
        ]))
        (chart::lines(&frame("Cache hit rate", Some(1.0), percent), &[
            line("vectors", |one| one.texts_cached),
            line("answers", |one| one.answers_cached),
        ]))
        (chart::lines(&frame("Chat tokens a second", None, short), &[
            line("tokens", |one| Some(one.tokens)),
        ]))
    }
}

/// What chats took in the last days.
struct Month {
    days: Vec<(String, UsageSums)>,
    models: Vec<(String, UsageSums)>,
    total: UsageSums,
}

impl Month {
    fn read(services: &Services) -> Self {
        let days = usage::last_days(DAYS).into_iter();
        let mut by_day: BTreeMap<String, UsageSums> =
            days.map(|day| (day, UsageSums::default())).collect();
        let input = UsageInput {
            from: by_day.keys().next().cloned(),
            to: None,
            key: None,
            model: None,
        };
        let mut by_model: BTreeMap<String, UsageSums> = BTreeMap::new();
        let mut total = UsageSums::default();
        // The days are ours, so there is nothing that could be wrong with them.
        if let Ok(found) = usage::usage(services, input) {
            for row in found.rows {
                by_model.entry(row.model).or_default().add(&row.sums);
                if let Some(day) = by_day.get_mut(&row.day) {
                    day.add(&row.sums);
                }
            }
            total = found.total;
        }
        let mut models: Vec<_> = by_model.into_iter().collect();
        models.sort_by_key(|(_, sums)| std::cmp::Reverse(sums.requests));
        Self {
            days: by_day.into_iter().collect(),
            models,
            total,
        }
    }

    fn charts(&self) -> Markup {
        let since = format!("{DAYS} days");
        let frame = |title, unit| Frame {
            title,
            since: &since,
            until: "today",
            top: None,
            unit,
        };
        let days = |of: fn(&UsageSums) -> Option<f64>| -> Vec<(String, Option<f64>)> {
            let days = self.days.iter();
            days.map(|(day, sums)| (day.clone(), of(sums))).collect()
        };
        html! {
            (chart::bars(&frame("Chat requests a day", short), &days(|sums| Some(sums.requests as f64))))
            (chart::bars(&frame("Tokens a day", short), &days(|sums| {
                Some((sums.prompt_tokens + sums.completion_tokens) as f64)
            })))
            (chart::bars(&frame("Known cost a day", usd), &days(|sums| sums.cost_usd)))
        }
    }

    fn models(&self) -> Markup {
        html! {
            @if !self.models.is_empty() {
                (table("Chats by model", &[
                    "Model", "#Requests", "#Failed", "#From the cache", "#Tokens read", "#Tokens written", "#Known cost",
                ], &html! {
                    @for (model, sums) in self.models.iter().take(MODELS) { (row(model, sums)) }
                    @if self.models.len() > 1 { (row("all", &self.total)) }
                }))
                @if self.total.unpriced > 0 {
                    p.note { "The cost of " (counted(count(self.total.unpriced), "answer")) " is not known; it is in no sum." }
                }
            }
        }
    }
}

fn row(model: &str, sums: &UsageSums) -> Markup {
    html! {
        tr {
            th scope="row" { (model) }
            td.n { (count(sums.requests)) }
            td.n { (count(sums.failed)) }
            td.n { (count(sums.cache_hits)) }
            td.n { (count(sums.prompt_tokens)) }
            td.n { (count(sums.completion_tokens)) }
            td.n { (sums.cost_usd.map_or_else(|| "–".to_owned(), usd)) }
        }
    }
}
