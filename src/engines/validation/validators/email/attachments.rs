//! What the names of attachments tell, and what they hide.

use unicode_security::{RestrictionLevel, RestrictionLevelDetection, skeleton};

use super::{headers, rules};
use crate::engines::validation::shown::quoted;
use crate::types::validation::Finding;

/// Extensions of files that run something when they are opened.
const RUNNABLE: &str = "ade adp apk app appimage appref-ms application bat chm cmd com command cpl \
    deb desktop dll dmg docm dotm exe gadget hta img inf iqy iso jar js jse library-ms lnk mde msc \
    msi msix msp mst one pif pkg potm ppam ppsm pptm ps1 psm1 py pyw reg rpm scf scr \
    search-ms settingcontent-ms sh sldm slk svg swf sys url vb vbe vbs vhd vhdx website ws wsc wsf \
    wsh xla xlam xll xlsb xlsm xltm";
/// Extensions of pages, which ask and run in a browser.
const PAGES: &str = "htm html mht mhtml shtml xht xhtml";
/// Extensions of archives, which filters cannot read once they have a password.
const ARCHIVES: &str = "7z ace arj bz2 cab gz lha lzh r00 rar tar tgz xz z zip zipx";
/// Names that Windows keeps for devices.
const DEVICES: &str = "aux con nul prn com1 com2 com3 com4 com5 com6 com7 com8 com9 \
    lpt1 lpt2 lpt3 lpt4 lpt5 lpt6 lpt7 lpt8 lpt9";
/// Longest name that file systems take.
const MAX_BYTES: usize = 255;
/// Longest that a part between two dots can be and still look like an extension.
const MAX_EXTENSION: usize = 5;

/// Adds what is wrong with one name, in a mail that speaks of a password or not.
pub(super) fn check(path: &str, name: &str, has_password: bool, findings: &mut Vec<Finding>) {
    if let Some(how) = headers::injection(name) {
        let message = format!("the name of an attachment {how}");
        findings.push(rules::HEADER_INJECTION.finding(path, message));
    }
    let (rule, problem) = match (dangerous(name), suspicious(name, has_password)) {
        (Some(problem), _) => (rules::ATTACHMENT, problem),
        (None, Some(problem)) => (rules::ATTACHMENT_SUSPICIOUS, problem),
        (None, None) => return,
    };
    findings.push(rule.finding(path, format!("attachment {} {problem}", quoted(name))));
}

fn dangerous(name: &str) -> Option<String> {
    // Windows drops trailing dots and spaces; a direction override shows "fdp.exe" as "exe.pdf".
    let plain = name.trim_end_matches(['.', ' ']);
    let hides = |c: char| {
        c.is_control()
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
    };
    if plain.is_empty() {
        return Some("has no name".to_owned());
    }
    if name.contains(hides) || plain.contains(['/', '\\', ':', '\u{2215}', '\u{ff0f}']) {
        return Some("has a path, a control or a direction character in its name".to_owned());
    }
    let (stem, extension) = plain.rsplit_once('.').unwrap_or((plain, ""));
    let extension = extension.trim().to_lowercase();
    // Letters that look like those of `exe` are meant to.
    let looks = match extension.is_ascii() {
        true => extension.clone(),
        false => skeleton(&extension).flat_map(char::to_lowercase).collect(),
    };
    if !extension.is_ascii() && looks.is_ascii() {
        return Some(format!("has an extension that only looks like .{looks}"));
    }
    if one_of(RUNNABLE, &extension) {
        let padded = stem.trim_end().len() + 3 < stem.len();
        let double = stem
            .rsplit_once('.')
            .is_some_and(|(_, inner)| is_extension(inner.trim()));
        let how = if padded || double {
            ", and hides that behind another extension"
        } else {
            ""
        };
        return Some(format!(
            "is a .{extension} file, which runs something when it is opened{how}"
        ));
    }
    None
}

fn suspicious(name: &str, has_password: bool) -> Option<String> {
    let plain = name.trim_end_matches(['.', ' ']);
    if plain.len() > MAX_BYTES {
        return Some(format!(
            "has a name of {} bytes; {MAX_BYTES} fit",
            plain.len()
        ));
    }
    let lower = plain.to_lowercase();
    let mut parts = lower.split('.').map(str::trim);
    let stem = parts.next().unwrap_or_default();
    let extensions: Vec<&str> = parts.collect();
    let last = extensions.last().copied().unwrap_or_default();
    if one_of(DEVICES, stem) {
        return Some("has the name of a device of Windows".to_owned());
    }
    if extensions
        .iter()
        .rev()
        .skip(1)
        .any(|inner| is_extension(inner) && one_of(RUNNABLE, inner))
    {
        return Some("has the extension of a program within its name".to_owned());
    }
    if one_of(PAGES, last) {
        return Some("is a page, which can ask and run what a mail cannot".to_owned());
    }
    let level = plain
        .chars()
        .filter(|c| c.is_alphabetic())
        .collect::<String>();
    if level.as_str().detect_restriction_level() > RestrictionLevel::HighlyRestrictive {
        return Some("mixes scripts whose letters look alike".to_owned());
    }
    let archive = extensions
        .iter()
        .any(|extension| one_of(ARCHIVES, extension));
    if archive && (has_password || names_password(plain)) {
        return Some("is an archive with a password, which no filter can read".to_owned());
    }
    None
}

/// Whether a text speaks of a password.
pub(super) fn names_password(text: &str) -> bool {
    let text = text.to_lowercase();
    let words = [
        "password",
        "passcode",
        "passwort",
        "mot de passe",
        "contrase\u{f1}a",
    ];
    words.iter().any(|word| text.contains(word))
}

fn is_extension(part: &str) -> bool {
    (2..=MAX_EXTENSION).contains(&part.len())
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && part.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn one_of(list: &str, word: &str) -> bool {
    !word.is_empty() && list.split_whitespace().any(|known| known == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_by_what_opens_them() {
        let cases: &[(&str, &str, &[&str])] = &[
            ("schedule.pdf", "", &[]),
            ("report.2026.pdf", "", &[]),
            ("com", "", &[]),
            ("a.company", "", &[]),
            ("\u{c1}lvarez r\u{e9}sum\u{e9}.docx", "", &[]),
            ("\u{65e5}\u{7a0b}.pdf", "", &[]),
            ("photos.zip", "the photos", &[]),
            ("", "", &["attachment"]),
            (" . ", "", &["attachment"]),
            ("invoice.EXE", "", &["attachment"]),
            ("invoice.pdf.exe. ", "", &["attachment"]),
            ("invoice.pdf                .exe", "", &["attachment"]),
            ("list.xlsm", "", &["attachment"]),
            ("a\u{202e}fdp.png", "", &["attachment"]),
            ("in\u{200b}voice.pdf", "", &["attachment"]),
            ("../etc/passwd", "", &["attachment"]),
            ("a.txt:b.exe", "", &["attachment"]),
            ("invoice.\u{435}x\u{435}", "", &["attachment"]),
            ("a.pdf\r\nX: y", "", &["header_injection", "attachment"]),
            (
                "a%0d%0aContent-Type: x.pdf",
                "",
                &["header_injection", "attachment"],
            ),
            ("nul.txt", "", &["attachment_suspicious"]),
            ("setup.exe.pdf", "", &["attachment_suspicious"]),
            ("invoice.html", "", &["attachment_suspicious"]),
            ("inv\u{43e}ice.pdf", "", &["attachment_suspicious"]),
            (
                "a.zip",
                "The password is in the next mail",
                &["attachment_suspicious"],
            ),
            ("password 1234.rar", "", &["attachment_suspicious"]),
        ];
        for (name, text, expected) in cases {
            let mut findings = Vec::new();
            check("/attachments/0", name, names_password(text), &mut findings);
            let found: Vec<&str> = findings
                .iter()
                .map(|found| found.rule.trim_start_matches("email."))
                .collect();
            assert_eq!(&found, expected, "{name:?}");
        }
        let mut findings = Vec::new();
        check(
            "",
            &format!("{}.pdf", "x".repeat(260)),
            false,
            &mut findings,
        );
        assert_eq!(findings.len(), 1);
    }
}
