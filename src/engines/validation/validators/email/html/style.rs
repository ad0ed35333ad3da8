//! Whether a style keeps text from being seen.

/// A colour as red, green and blue.
pub(super) type Colour = [u8; 3];

/// Sum of the differences of red, green and blue below which nobody can read.
const MIN_CONTRAST: u32 = 40;
/// Points and pixels up to which a letter is none.
const MIN_SIZE: f32 = 2.0;

/// What the style of an element says about its text.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct Style {
    /// Why its text cannot be seen, whatever its colours are.
    pub(super) hides: Option<&'static str>,
    pub(super) colour: Option<Colour>,
    pub(super) background: Background,
}

/// What text is laid over.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) enum Background {
    /// That of the element around.
    #[default]
    Inherited,
    Plain(Colour),
    /// A picture, or a form of colour that is not read here.
    Unknown,
}

impl Style {
    /// This, and what `other` says where this says nothing.
    pub(super) fn over(self, other: Self) -> Self {
        Self {
            hides: self.hides.or(other.hides),
            colour: self.colour.or(other.colour),
            background: match self.background {
                Background::Inherited => other.background,
                own => own,
            },
        }
    }
}

/// Reads the declarations of a `style` attribute or of a rule.
pub(super) fn read(declarations: &str) -> Style {
    let mut style = Style::default();
    let (mut cut, mut none_wide, mut away, mut clipped) = (false, false, false, false);
    for declaration in declarations.split(';') {
        let Some((name, value)) = declaration.split_once(':') else {
            continue;
        };
        let name = name.trim().to_ascii_lowercase();
        let value = value.trim().to_ascii_lowercase();
        let value = value.trim_end_matches("!important").trim_end();
        match name.as_str() {
            "display" if value == "none" => style.hides = Some("display"),
            "visibility" if matches!(value, "hidden" | "collapse") => {
                style.hides = Some("visibility");
            }
            "opacity" if number(value).is_some_and(|part| part <= 0.05) => {
                style.hides = Some("opacity");
            }
            "font-size" if is_tiny(value) => style.hides = Some("font size"),
            "font" if value.split_whitespace().any(is_tiny_of_font) => {
                style.hides = Some("font size");
            }
            "text-indent" if number(value).is_some_and(|part| part <= -100.0) => {
                style.hides = Some("indent");
            }
            "color" if value == "transparent" || is_clear(value) => style.hides = Some("colour"),
            "color" => style.colour = colour(value),
            "background-color" | "background" => style.background = background(value),
            "background-image" if value != "none" => style.background = Background::Unknown,
            "position" => away = matches!(value, "absolute" | "fixed"),
            "left" | "top" | "right" | "margin-left"
                if number(value).is_some_and(|part| part <= -500.0) =>
            {
                cut = true;
            }
            "height" | "max-height" | "width" | "max-width" if number(value) == Some(0.0) => {
                none_wide = true;
            }
            "overflow" => clipped = value == "hidden",
            "clip" | "clip-path" if value.contains("rect(0") || value.contains("inset(50%") => {
                style.hides = Some("clip");
            }
            _ => {}
        }
    }
    if none_wide && clipped || away && cut {
        style.hides = Some("place");
    }
    style
}

fn background(value: &str) -> Background {
    if matches!(value, "transparent" | "none" | "inherit" | "initial") {
        return Background::Inherited;
    }
    let found = match value.contains("url(") || value.contains("gradient") {
        true => None,
        false => colour(value).or_else(|| value.split_whitespace().find_map(colour)),
    };
    found.map_or(Background::Unknown, Background::Plain)
}

/// Whether text of one colour cannot be read on the other.
pub(super) fn blends(text: Colour, ground: Colour) -> bool {
    let pairs = text.iter().zip(ground);
    pairs.map(|(a, b)| u32::from(a.abs_diff(b))).sum::<u32>() < MIN_CONTRAST
}

/// The number at the start of a value.
pub(super) fn number(value: &str) -> Option<f32> {
    let end = value.find(|c: char| !matches!(c, '0'..='9' | '.' | '-' | '+'));
    value.get(..end.unwrap_or(value.len()))?.parse().ok()
}

fn is_tiny(value: &str) -> bool {
    let Some(size) = number(value) else {
        return false;
    };
    let unit = value.trim_start_matches(|c: char| !c.is_ascii_alphabetic() && c != '%');
    let points = match unit {
        "em" | "rem" => size * 16.0,
        "%" => size * 0.16,
        _ => size,
    };
    points <= MIN_SIZE
}

/// In `font: 12px/0 x` the second number is the height of a line.
fn is_tiny_of_font(part: &str) -> bool {
    let size = part.split('/').next().unwrap_or_default();
    let unit = ["px", "pt", "em", "%"]
        .iter()
        .any(|unit| size.ends_with(unit));
    unit && is_tiny(size)
}

fn is_clear(value: &str) -> bool {
    let parts = value
        .strip_prefix("rgba(")
        .and_then(|rest| rest.strip_suffix(')'));
    let alpha = parts.and_then(|parts| parts.rsplit(',').next());
    alpha
        .and_then(|alpha| number(alpha.trim()))
        .is_some_and(|alpha| alpha <= 0.05)
}

/// A colour by number, or by one of the names that hide text best.
pub(super) fn colour(value: &str) -> Option<Colour> {
    let value = value.trim();
    if let Some(hex) = value.strip_prefix('#') {
        let digits: Option<Vec<u8>> = hex
            .chars()
            .take(9)
            .map(|c| c.to_digit(16).map(|digit| digit as u8))
            .collect();
        return match digits?.as_slice() {
            [r, g, b] => Some([r * 17, g * 17, b * 17]),
            [r, s, g, h, b, c] => Some([r * 16 + s, g * 16 + h, b * 16 + c]),
            _ => None,
        };
    }
    if let Some(parts) = value
        .strip_prefix("rgb(")
        .and_then(|rest| rest.strip_suffix(')'))
    {
        let mut parts = parts.split(',').map(|part| part.trim().parse().ok());
        return Some([parts.next()??, parts.next()??, parts.next()??]);
    }
    let names: [(&str, Colour); 8] = [
        ("white", [255; 3]),
        ("black", [0; 3]),
        ("snow", [255, 250, 250]),
        ("ivory", [255, 255, 240]),
        ("ghostwhite", [248, 248, 255]),
        ("whitesmoke", [245; 3]),
        ("red", [255, 0, 0]),
        ("blue", [0, 0, 255]),
    ];
    names
        .iter()
        .find(|(name, _)| *name == value)
        .map(|(_, colour)| *colour)
}

/// Classes and ids that a style sheet hides everywhere; rules for some screens only do not count.
pub(super) fn hidden_names(sheet: &str) -> Vec<String> {
    const MAX_NAMES: usize = 50;
    let mut names = Vec::new();
    let mut rest = sheet;
    while let Some((selectors, tail)) = rest.split_once('{') {
        if selectors.trim_start().starts_with('@') {
            rest = after_block(tail);
            continue;
        }
        let Some((declarations, tail)) = tail.split_once('}') else {
            break;
        };
        rest = tail;
        if read(declarations).hides.is_none() {
            continue;
        }
        for selector in selectors.split(',').map(str::trim) {
            let simple = selector.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
            let word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
            if simple.starts_with(['.', '#']) && simple.chars().skip(1).all(word) {
                names.push(simple.to_owned());
            }
        }
        if names.len() > MAX_NAMES {
            break;
        }
    }
    names
}

/// What follows the block that was opened just before.
fn after_block(text: &str) -> &str {
    let mut depth = 1;
    for (at, byte) in text.bytes().enumerate() {
        depth += match byte {
            b'{' => 1,
            b'}' => -1,
            _ => 0,
        };
        if depth == 0 {
            return text.get(at + 1..).unwrap_or_default();
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_that_hide_are_told_from_those_that_do_not() {
        for hides in [
            "display:none",
            "DISPLAY : None !important",
            "visibility: hidden",
            "opacity:0.0",
            "font-size:0",
            "font-size: 1px; color: #000",
            "font-size:.05em",
            "font: 0px/0 Arial",
            "text-indent:-9999px",
            "color:transparent",
            "color: rgba(0, 0, 0, 0)",
            "max-height:0;overflow:hidden",
            "position:absolute;left:-9999px",
            "clip: rect(0 0 0 0)",
        ] {
            assert!(read(hides).hides.is_some(), "{hides}");
        }
        for shows in [
            "display:block",
            "font-size:12px;line-height:0",
            "font:12px/0 Arial",
            "opacity:.9",
            "max-height:0",
            "margin-left:-5px",
            "position:absolute;left:5px",
            "color:rgba(0,0,0,.8)",
            "no declaration",
        ] {
            assert_eq!(read(shows).hides, None, "{shows}");
        }
        assert_eq!(read("color:#FFF").colour, Some([255; 3]));
        assert_eq!(
            read("background:#0a141e url(x.png)").background,
            Background::Unknown
        );
        assert_eq!(
            read("background:no-repeat rgb(1,2,3)").background,
            Background::Plain([1, 2, 3])
        );
        assert!(blends([255; 3], [250; 3]) && !blends([255; 3], [200; 3]));
    }

    #[test]
    fn names_that_a_sheet_hides_are_read() {
        let sheet = concat!(
            ".a, p.b { display:none } .c{color:red} #d{font-size:0}",
            "@media (max-width:600px) { .e { display:none } } .f .g{display:none} .h{",
        );
        assert_eq!(hidden_names(sheet), [".a", ".b", "#d"]);
    }
}
