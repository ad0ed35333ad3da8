//! The form in which names, roles and places are compared.

/// Returns `text` in lower case, with single spaces and straight apostrophes.
pub(in crate::engines::validation) fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        for c in word.chars().flat_map(char::to_lowercase) {
            folded.push(if matches!(c, '\u{2018}' | '\u{2019}' | '`') {
                '\''
            } else {
                c
            });
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_spacing_and_apostrophes_do_not_matter() {
        assert_eq!(
            folded("  Siobh\u{e1}n \t O\u{2019}NEILL\n"),
            "siobh\u{e1}n o'neill"
        );
        assert_eq!(folded(" \u{a0} "), "");
    }
}
