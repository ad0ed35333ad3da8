//! Gathers what the tags of a page mean to its reader.

use super::style::{self, Background, Colour, Style};

/// Elements deeper than this share the fate of the one at this depth.
const MAX_DEPTH: usize = 256;
/// Things of one kind that are remembered: more say nothing new.
const MAX_THINGS: usize = 2_000;
/// Classes and ids that are known to be hidden.
const MAX_NAMES: usize = 50;
/// Bytes of text that are kept of each hidden place.
const MAX_SAMPLE: usize = 200;

/// A page as far as a mail is judged by it.
#[derive(Debug, Default)]
pub(in super::super) struct Page {
    /// What a reader sees; a line for each block.
    pub(in super::super) text: String,
    /// What he sees outside of links, where mail programs make links of addresses.
    pub(in super::super) unlinked: String,
    /// What a reader does not see: all attributes but styles and addresses, comments, hidden text.
    pub(in super::super) unseen: String,
    /// Hidden texts, each with what hides it.
    pub(in super::super) hidden: Vec<(&'static str, String)>,
    pub(in super::super) links: Vec<Link>,
    pub(in super::super) images: Vec<Image>,
    /// Things that run or embed something, such as `<script>` or `onclick`.
    pub(in super::super) active: Vec<String>,
    /// Things that ask the reader for input.
    pub(in super::super) forms: Vec<String>,
    /// Addresses of other things that are fetched when the mail is opened.
    pub(in super::super) remote: Vec<String>,
    /// Whether the page was not read to its end.
    pub(in super::super) cut: bool,
}

/// A link, or another address that a page names.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Link {
    pub(in super::super) target: String,
    /// What a reader clicks on, of links that have text.
    pub(in super::super) text: Option<String>,
}

/// An image of a page.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Image {
    pub(in super::super) source: String,
    /// Whether nobody can see it.
    pub(in super::super) invisible: bool,
}

#[derive(Debug, Clone)]
struct Element {
    name: String,
    hides: Option<&'static str>,
    colour: Colour,
    /// None where it is not known.
    ground: Option<Colour>,
}

/// Builds a page from its tags and texts.
#[derive(Debug, Default)]
pub(super) struct Builder {
    page: Page,
    stack: Vec<Element>,
    too_deep: usize,
    /// The link that is open, with its text so far.
    link: Option<usize>,
    /// The style sheet that is open.
    sheet: String,
    /// Whether there was one.
    has_sheets: bool,
    hidden_names: Vec<String>,
}

impl Builder {
    pub(super) fn cut(&mut self) {
        self.page.cut = true;
    }

    pub(super) fn finish(self) -> Page {
        self.page
    }

    pub(super) fn comment(&mut self, comment: &str) {
        self.page.unseen.push_str(comment);
        self.page.unseen.push('\n');
    }

    pub(super) fn text(&mut self, text: &str) {
        let top = self.stack.last();
        match top.map(|top| top.name.as_str()) {
            Some("style") => {
                self.sheet.push_str(text);
                return;
            }
            Some("script") => return,
            _ => {}
        }
        if let Some(why) = top.and_then(|top| self.hides(top)) {
            self.page.unseen.push_str(text);
            self.page.unseen.push('\n');
            if text.chars().any(char::is_alphanumeric) && self.page.hidden.len() < MAX_THINGS {
                let end = text.floor_char_boundary(MAX_SAMPLE.min(text.len()));
                let sample = text.get(..end).unwrap_or_default().trim().to_owned();
                self.page.hidden.push((why, sample));
            }
            return;
        }
        if top.is_some_and(|top| matches!(top.name.as_str(), "title" | "template" | "head")) {
            self.page.unseen.push_str(text);
            return;
        }
        self.page.text.push_str(text);
        if self.link.is_none() {
            self.page.unlinked.push_str(text);
        }
        let link = self.link.and_then(|at| self.page.links.get_mut(at));
        if let Some(shown) = link.and_then(|link| link.text.as_mut())
            && shown.len() < MAX_SAMPLE
        {
            shown.push_str(text);
        }
    }

    fn hides(&self, top: &Element) -> Option<&'static str> {
        let blends = top
            .ground
            .is_some_and(|ground| style::blends(top.colour, ground));
        top.hides.or(blends.then_some("colour"))
    }

    pub(super) fn close(&mut self, name: &str) {
        if is_block(name) {
            self.page.text.push('\n');
            self.page.unlinked.push('\n');
        }
        if name == "a" {
            self.link = None;
        }
        if name == "style" {
            let sheet = std::mem::take(&mut self.sheet);
            self.has_sheets = true;
            self.hidden_names.extend(style::hidden_names(&sheet));
            self.hidden_names.truncate(MAX_NAMES);
            self.page.remote.extend(addresses_in(&sheet));
        }
        if self.too_deep > 0 {
            self.too_deep -= 1;
        } else if let Some(at) = self.stack.iter().rposition(|element| element.name == name) {
            self.stack.truncate(at);
        }
    }

    pub(super) fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        if is_block(name) || name == "br" {
            self.page.text.push('\n');
            self.page.unlinked.push('\n');
        }
        // The end tags of these may be left out.
        let ends_by_itself = matches!(name, "p" | "li" | "td" | "th" | "tr" | "option");
        if ends_by_itself && self.stack.last().is_some_and(|top| top.name == name) {
            self.stack.pop();
        }
        let element = self.element(name, attributes);
        let invisible = self.hides(&element).is_some_and(|why| why != "colour");
        self.note(name, attributes, invisible);
        let mut address_kinds = attributes.iter().filter(|(key, _)| is_address(name, key));
        if self.page.links.len() < MAX_THINGS
            && let Some((_, target)) = address_kinds.next()
        {
            let clickable = matches!(name, "a" | "area");
            self.link = (name == "a").then_some(self.page.links.len());
            self.page.links.push(Link {
                target: target.trim().to_owned(),
                text: clickable.then(String::new),
            });
        }
        for (key, value) in attributes {
            if !matches!(*key, "style" | "class" | "id" | "href" | "src") {
                self.page.unseen.push_str(value);
                self.page.unseen.push('\n');
            }
        }
        if is_void(name) {
            return;
        }
        if self.stack.len() < MAX_DEPTH {
            self.stack.push(element);
        } else {
            self.too_deep += 1;
        }
    }

    fn element(&self, name: &str, attributes: &[(&str, &str)]) -> Element {
        let mut own = Style::default();
        for (key, value) in attributes {
            match *key {
                "style" => own = style::read(value).over(own),
                "hidden" => own.hides = Some("hidden attribute"),
                "bgcolor" => {
                    let known = style::colour(&value.to_ascii_lowercase());
                    let background = known.map_or(Background::Unknown, Background::Plain);
                    own = own.over(Style {
                        background,
                        ..Style::default()
                    });
                }
                "background" => own.background = Background::Unknown,
                "color" if name == "font" => {
                    own.colour = style::colour(&value.to_ascii_lowercase());
                }
                "size" if name == "font" && value.trim() == "0" => own.hides = Some("font size"),
                "class" | "id" => {
                    let mark = if *key == "class" { '.' } else { '#' };
                    let named = |word: &str| {
                        self.hidden_names
                            .iter()
                            .any(|known| known.strip_prefix(mark) == Some(word))
                    };
                    if value.split_whitespace().take(50).any(named) {
                        own.hides = Some("style sheet");
                    }
                    // A sheet may give it any background.
                    if self.has_sheets && own.background == Background::Inherited {
                        own.background = Background::Unknown;
                    }
                }
                _ => {}
            }
        }
        let parent = self.stack.last();
        let inherited = parent.map_or(Some([255; 3]), |parent| parent.ground);
        Element {
            name: name.to_owned(),
            hides: own.hides.or_else(|| parent.and_then(|parent| parent.hides)),
            colour: own
                .colour
                .or(parent.map(|parent| parent.colour))
                .unwrap_or_default(),
            ground: match own.background {
                Background::Plain(ground) => Some(ground),
                Background::Unknown => None,
                Background::Inherited => inherited,
            },
        }
    }

    /// Remembers what an element does when the mail is opened.
    fn note(&mut self, name: &str, attributes: &[(&str, &str)], invisible: bool) {
        let value = |wanted: &str| {
            attributes
                .iter()
                .find(|(key, _)| *key == wanted)
                .map(|(_, value)| value.trim())
        };
        let handlers = attributes.iter().filter(|(key, _)| {
            key.len() > 4 && key.starts_with("on") && key.bytes().all(|b| b.is_ascii_alphabetic())
        });
        let page = &mut self.page;
        for (key, _) in handlers.take(MAX_THINGS.saturating_sub(page.active.len())) {
            page.active.push((*key).to_owned());
        }
        let refreshes = || value("http-equiv").is_some_and(|v| v.eq_ignore_ascii_case("refresh"));
        match name {
            "script" | "iframe" | "frame" | "object" | "embed" | "applet" | "base" | "portal" => {
                page.active.push(format!("<{name}>"));
            }
            "meta" if refreshes() => page.active.push("<meta http-equiv=refresh>".to_owned()),
            "form" | "input" | "textarea" | "select" => page.forms.push(format!("<{name}>")),
            "img" => page.images.push(Image {
                source: value("src").unwrap_or_default().to_owned(),
                invisible: invisible
                    || ["width", "height"].iter().any(|side| {
                        value(side)
                            .and_then(style::number)
                            .is_some_and(|size| size <= 1.0)
                    })
                    || value("style").is_some_and(has_no_size),
            }),
            "link" | "video" | "audio" | "source" | "track" | "image" => {
                page.remote
                    .extend(value("href").or(value("src")).map(str::to_owned));
            }
            _ => {}
        }
        page.remote.extend(value("background").map(str::to_owned));
        page.remote.extend(value("poster").map(str::to_owned));
        if let Some(style) = value("style").filter(|style| style.contains("url(")) {
            page.remote.extend(addresses_in(style));
        }
        page.active.truncate(MAX_THINGS);
        page.forms.truncate(MAX_THINGS);
        page.images.truncate(MAX_THINGS);
        page.remote.truncate(MAX_THINGS);
    }
}

fn has_no_size(style: &str) -> bool {
    style
        .split(';')
        .filter_map(|one| one.split_once(':'))
        .any(|(name, value)| {
            let name = name.trim();
            ["width", "height", "max-width", "max-height"]
                .iter()
                .any(|n| name.eq_ignore_ascii_case(n))
                && style::number(value.trim()).is_some_and(|size| size <= 1.0)
                && !value.contains('%')
        })
}

/// The addresses that a style fetches.
fn addresses_in(style: &str) -> impl Iterator<Item = String> + '_ {
    let urls = style
        .split("url(")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap_or_default());
    let imports = style
        .split("@import")
        .skip(1)
        .map(|rest| rest.split(';').next().unwrap_or_default());
    let trimmed = |address: &str| {
        let marks = |c: char| c.is_whitespace() || matches!(c, '"' | '\'');
        address
            .get(..address.floor_char_boundary(2_000.min(address.len())))
            .unwrap_or_default()
            .trim_matches(marks)
            .to_owned()
    };
    urls.chain(imports).take(MAX_THINGS).map(trimmed)
}

/// Attributes that lead somewhere, or fetch something.
fn is_address(name: &str, key: &str) -> bool {
    match key {
        "href" => name != "base",
        "src" | "action" | "formaction" | "background" | "poster" | "data" | "xlink:href" => true,
        _ => false,
    }
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "p" | "div"
            | "tr"
            | "td"
            | "th"
            | "table"
            | "li"
            | "ul"
            | "ol"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "hr"
            | "pre"
            | "blockquote"
            | "section"
            | "header"
            | "footer"
            | "center"
            | "body"
            | "title"
    )
}

fn is_void(name: &str) -> bool {
    matches!(
        name,
        "area"
            | "base"
            | "br"
            | "col"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "link"
            | "meta"
            | "param"
            | "source"
            | "track"
            | "wbr"
    )
}
