//! The forms in which names, roles and places are compared.

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

/// Letters that are written without their accents: each group begins with what stands for the others.
const ACCENTED: [&str; 20] = [
    "aàáâãäåāăąǎạảấầẩẫậắằẳẵặ",
    "cçćĉċč",
    "dďđðḍ",
    "eèéêëēĕėęěẹẻẽếềểễệ",
    "gĝğġģ",
    "hĥħ",
    "iìíîïĩīĭįıỉị",
    "jĵ",
    "kķ",
    "lĺļľŀł",
    "nñńņňŉ",
    "oòóôõöøōŏőọỏốồổỗộớờởỡợơ",
    "rŕŗř",
    "sśŝşšșṣ",
    "tţťŧțṭ",
    "uùúûüũūŭůűųụủứừửữựư",
    "wŵẁẃẅ",
    "yýÿŷỳỵỷỹ",
    "zźżž",
    "'ʼ´′",
];

/// What is left of words: suffixes are not part of who somebody is.
const SUFFIXES: [&str; 6] = ["jr", "sr", "ii", "iii", "iv", "esq"];

/// The words of a name as a keyboard without accents has them: lower case, no punctuation at their ends, no suffix.
pub(super) fn plain_words(name: &str) -> Vec<String> {
    let folded = folded(name);
    let mut words: Vec<String> = Vec::new();
    for word in folded.split([' ', ',']) {
        let word = plain(word.trim_matches(|c: char| !c.is_alphanumeric()));
        if !word.is_empty() {
            words.push(word);
        }
    }
    if words.len() > 2 {
        words.retain(|word| !SUFFIXES.contains(&word.as_str()));
    }
    words
}

/// Whether two names have the same words, but for accents.
pub(in crate::engines::validation) fn same_but_accents(one: &str, other: &str) -> bool {
    let spelt = |name: &str| folded(name).split(' ').map(plain).collect::<Vec<_>>();
    spelt(one) == spelt(other)
}

fn plain(word: &str) -> String {
    if word.is_ascii() {
        return word.to_owned();
    }
    let mut plain = String::with_capacity(word.len());
    for c in word.chars() {
        match c {
            // Accents of their own.
            '\u{300}'..='\u{36f}' => {}
            'æ' => plain.push_str("ae"),
            'œ' => plain.push_str("oe"),
            'ß' => plain.push_str("ss"),
            'þ' => plain.push_str("th"),
            c if c.is_ascii() => plain.push(c),
            c => {
                let group = ACCENTED.iter().find(|group| group.contains(c));
                plain.push(group.and_then(|group| group.chars().next()).unwrap_or(c));
            }
        }
    }
    plain
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

    #[test]
    fn words_are_plain_without_accents_and_suffixes() {
        let cases: [(&str, &[&str]); 7] = [
            ("José NÚÑEZ", &["jose", "nunez"]),
            ("Jose\u{301} Nu\u{301}n\u{303}ez", &["jose", "nunez"]),
            ("Lee, Ann B.", &["lee", "ann", "b"]),
            ("Søren Bjørnsson Jr.", &["soren", "bjornsson"]),
            ("Łukasz Groß III", &["lukasz", "gross"]),
            ("Junior Ii", &["junior", "ii"]),
            ("李 小龙 ...", &["李", "小龙"]),
        ];
        for (name, expected) in cases {
            assert_eq!(plain_words(name), expected, "{name}");
        }
    }
}
