//! The chat playground. The page asks `/v1/chat/completions` as any client would; its script writes down what streams in.

use actix_web::HttpResponse;
use actix_web::web::Data;
use maud::html;

use super::page::page_with;
use crate::services::{Services, collections, complete};

const HERE: &str = "/console/chat";

pub(super) async fn show(services: Data<Services>) -> HttpResponse {
    let models = complete::models(&services);
    let names = collections::names(&services);
    page_with(
        HERE,
        "Chat",
        "chat.js",
        &html! {
            noscript { p.alert role="alert" { "This page needs its script. " code { "POST /v1/chat/completions" } " works without." } }
            div #log .log role="log" aria-label="Conversation" tabindex="0" {
                p.empty { "Ask something. With a collection, the answer cites its passages." }
            }
            form #chat .panel {
                div.fields {
                    label { "Model"
                        select name="model" {
                            option value="" { "the default" }
                            @for (id, provider) in &models {
                                option value=(id) { (id) @if provider != id { " (" (provider) ")" } }
                            }
                        }
                    }
                    label { "Answer from"
                        select name="collection" {
                            option value="" { "no collection" }
                            @for (at, name) in names.iter().enumerate() { option value=(name) selected[at == 0] { (name) } }
                        }
                    }
                    label.narrow { "Passages" input name="k" type="number" min="1" max="100" value="5"; }
                    label { "Role" input name="role" autocomplete="off"; }
                }
                details {
                    summary { "Instruction" }
                    label { "What the model is told first" textarea name="system" rows="2" {} }
                }
                label { "Message" textarea #message name="message" rows="3" required aria-describedby="keys" {} }
                div.row {
                    button.primary #send { "Send" }
                    button #stop type="button" disabled { "Stop" }
                    button #anew type="button" { "New conversation" }
                    span #keys .note { "Ctrl + Enter sends" }
                }
                p #state .note role="status" {}
            }
        },
    )
}
