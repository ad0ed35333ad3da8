use super::*;

fn found(text: &str) -> Vec<&str> {
    find(text).into_iter().map(|span| &text[span]).collect()
}

#[test]
fn every_pattern_compiles() {
    assert_eq!(COMPILED.starts.len(), PATTERNS.len());
    assert_eq!(COMPILED.words.len(), WORDS.len());
    assert!(COMPILED.needles.is_whole() && COMPILED.of_nobody.is_some());
    assert!(COMPILED.before_tag.is_some());
}

#[test]
fn placeholders_of_each_language_are_found() {
    let each = [
        "{{name}}",
        "{{ user.first }}",
        "{{}}",
        "{{{ body }}}",
        "{{#if member}}",
        "{{/if}}",
        "{{ name | default: 'friend' }}",
        "{%- endif -%}",
        "{!Contact.Name}",
        "{!$User.Email}",
        "%(name)s",
        "%s",
        "%recipient.name%",
        "%%FirstName%%",
        "%7B%7Bname%7D%7D",
        "[[name]]",
        "[object Object]",
        "<your name>",
        "<insert date here>",
        "*|IF:MEMBER|*",
        "TBD",
        "Invalid Date",
        "{% if x %}",
        "${name}",
        "#{name}",
        "{name}",
        "{first_name}",
        "<%= name %>",
        "<% if x %>",
        "*|FNAME|*",
        "<<first name>>",
        "«Name»",
        "%FIRST_NAME%",
        "[NAME]",
        "[YOUR NAME]",
        "[FIRST_NAME]",
        "[Your Name]",
        "[name]",
        "[insert date here]",
        "[Company's name]",
        "[Date]",
        "TODO",
        "XXX",
        "XXXX",
        "FIXME",
        "Lorem ipsum",
        "lorem\nipsum",
    ];
    for placeholder in each {
        let text = format!("Dear {placeholder}, welcome.");
        assert_eq!(found(&text), [placeholder], "{text}");
    }
    let without_values = [
        ("Dear ,\nx", "Dear ,"),
        ("Dear,\nx", "Dear,"),
        ("Hi ,\nx", "Hi ,"),
        ("Dear Mr. ,\nx", "Dear Mr. ,"),
        ("x\n  Hello ____, y", "  Hello ____"),
        ("Hi undefined,", "Hi undefined"),
        ("Dear null, welcome", "Dear null"),
        ("Thank you, NaN", "Thank you, NaN"),
        ("GOOD MORNING None!", "MORNING None"),
        ("Dear N/A \r\nx", "Dear N/A"),
        ("you earn $NaN an hour", "$NaN"),
        ("Start date: null\nx", "Start date: null"),
    ];
    for (text, expected) in without_values {
        assert_eq!(found(text), [expected], "{text}");
    }
    assert_eq!(
        found("{{a}} ${b} {c} [NAME]"),
        ["{{a}}", "${b}", "{c}", "[NAME]"]
    );
}

#[test]
fn ordinary_text_is_left_alone() {
    let quiet = [
        "[EXTERNAL] your shift, [1] and [2], [sic], [a-z], [CASE 4711], [JIRA-12]",
        "[Your account](https://x.com) and [NAME](https://x.com)",
        "{1, 2}, {}, f(x) { return 1; }, p{color:red}, {\"a\": 1}, 100% of 50%, $5 {",
        "{\"a\": {\"b\": [1, 2]}, \"c\": null}, list[NAME], \\frac{a}{b}, f(x){y}, style={{a: 1}}",
        "use `{{name}}` and `%s`, or\n```\nDear {name},\n${HOME} TODO\n```\nas code",
        "XXX-XX-1234 and 4111-XXXX-XXXX-1111, at $5 or $ 5, 50%, 100%s, a%20s, width=50%;",
        "Thanks, none of this is urgent. Good morning, none of us can come.",
        "Hi Nan,\nThanks, Nil. Thanks, None of us can.\nWelcome Null-Kelvin",
        "Hi,\nHello!\nHello all, none of it; the value is null or undefined in JavaScript",
        "Dear all, Allergies: None\n<ana@x.com> <https://x.com> <b>your name</b> 5 <6",
        "a ` alone, *bold* **x** #1 #tag $HOME {\n}",
        "size XXL, todo list, Todos los d\u{ed}as, a < b % c > d, <<<, [namespace], [timely]",
    ];
    for text in quiet {
        assert_eq!(found(text), [""; 0], "{text}");
    }
}

#[test]
fn tags_of_mailing_lists_are_no_placeholders_before_a_subject() {
    let told = |path: &str, text: &str| {
        let mut findings = Vec::new();
        check(path, text, &mut findings);
        findings.len()
    };
    for tag in [
        "[ILUG] Kernel crash",
        "Re: [ILUG] Kernel crash",
        "RE: Fwd: [OT] [IIU] Re[2]: [SACVS] where to meet",
    ] {
        assert_eq!(told("/subject", tag), 0, "{tag}");
    }
    for placeholder in [
        "[NAME] at the mill",
        "Re: [COMPANY] and you",
        "[FIRST_NAME] at the mill",
        "[YOUR NAME] at the mill",
        "Your shift at [ILUG] tomorrow",
        "[ILUG]",
        "[ILUG] ",
    ] {
        assert_eq!(told("/subject", placeholder), 1, "{placeholder}");
    }
    assert_eq!(told("/body", "[ILUG] Kernel crash"), 1);
}
