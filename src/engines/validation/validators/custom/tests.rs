use serde_json::{Value, json};

use super::*;
use crate::types::validation::Severity;

const EXAMPLE: &str = include_str!("../../../../../examples/rules/invoice.toml");
const MANUAL: &str = include_str!("../../../../../docs/VALIDATION.md");

fn custom(text: &str) -> Result<Box<dyn Validator>, String> {
    let file = RuleFile {
        name: "rules/own.toml".to_owned(),
        text: text.to_owned(),
    };
    read(&file, 1_000_000)
}

/// A validator of one rule, named `own.r`.
fn rule(body: &str) -> Result<Box<dyn Validator>, String> {
    custom(&format!(
        "name = 'own'\ndescription = 'd'\n[[rules]]\nid = 'r'\ndescription = 'd'\n{body}"
    ))
}

fn found(validator: &dyn Validator, payload: &Value, context: &Value) -> Vec<(String, String)> {
    let findings = validator.validate(payload, context).into_iter();
    findings.map(|one| (one.path, one.message)).collect()
}

/// The messages of one rule about a payload.
fn told(body: &str, payload: Value) -> Vec<String> {
    let validator = rule(body).unwrap();
    let findings = found(&*validator, &payload, &json!({})).into_iter();
    findings.map(|(_, message)| message).collect()
}

fn invoice() -> Value {
    json!({
        "number": "INV-004711",
        "currency": "EUR",
        "lines": [{"id": 1, "amount": 10}, {"id": 2, "amount": 0.2}, {"id": 3, "amount": 0.1}],
        "total": 10.3,
        "order": {"customer": "Bell"},
        "bill_to": "Bell",
    })
}

#[test]
fn the_example_of_the_manual_judges_invoices() {
    assert!(
        MANUAL.contains(EXAMPLE),
        "docs/VALIDATION.md shows another example"
    );
    let validator = custom(EXAMPLE).unwrap();
    let context = json!({"customers": ["Bell", "Orr"]});
    assert_eq!(found(&*validator, &invoice(), &context), []);
    let cases = [
        ("/number", json!("4711"), "invoice.number", "/number"),
        ("/number", json!(null), "invoice.number", "/number"),
        ("/number", json!(7), "invoice.number", "/number"),
        ("/currency", json!("GBP"), "invoice.currency", "/currency"),
        (
            "/lines/1/amount",
            json!("0.2"),
            "invoice.amount",
            "/lines/1/amount",
        ),
        ("/lines/2/id", json!(1), "invoice.line_twice", "/lines/2/id"),
        ("/total", json!(10.31), "invoice.total", ""),
        (
            "/order/customer",
            json!("Orr"),
            "invoice.customer",
            "/bill_to",
        ),
    ];
    for (pointer, value, rule, path) in cases {
        let mut payload = invoice();
        *payload.pointer_mut(pointer).unwrap() = value.clone();
        let findings = validator.validate(&payload, &context);
        let places: Vec<_> = findings
            .iter()
            .map(|one| (one.rule.as_str(), one.path.as_str()))
            .collect();
        assert!(
            places.contains(&(rule, path)),
            "{pointer} {value}: {findings:?}"
        );
    }
    let mut payload = invoice();
    payload["note"] = json!("INTERNAL: late");
    payload["bill_to"] = json!("Nobody");
    let findings = validator.validate(&payload, &context);
    let messages: Vec<&str> = findings.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "/note contains \"INTERNAL\"",
            "/bill_to is \"Nobody\", but /order/customer is \"Bell\"",
            "\"Nobody\" is no customer of ours",
        ]
    );
    assert_eq!(validator.rules()[1].severity, Severity::Critical);
}

#[test]
fn each_predicate_says_what_is_wrong() {
    let place = |body: &str| format!("path = '/a'\n{body}");
    for (body, value, expected) in [
        ("required = true", json!(null), "/a is missing"),
        (
            "type = 'integer'",
            json!(1.5),
            "/a is a fraction, must be a whole number",
        ),
        (
            "type = ['string', 'null']",
            json!([]),
            "/a is a list, must be a text or null",
        ),
        (
            "one_of = [1, 'x']",
            json!(2),
            "/a is 2, must be one of 1, \"x\"",
        ),
        (
            "matches = '^a+$'",
            json!("b"),
            "/a is \"b\", which does not match ^a+$",
        ),
        (
            "matches = '^a+$'",
            json!(1),
            "/a is a number, must be a text",
        ),
        (
            "min = 1\nmax = 2",
            json!(0.5),
            "/a is 0.5, must be at least 1",
        ),
        ("min = 1\nmax = 2", json!(3), "/a is 3, must be at most 2"),
        ("min = 1", json!("2"), "/a is a text, must be a number"),
        (
            "min_length = 2",
            json!("é"),
            "/a has 1 characters, must have at least 2",
        ),
        (
            "max_length = 1",
            json!([1, 2]),
            "/a has 2 items, must have at most 1",
        ),
        (
            "max_length = 1",
            json!(12),
            "/a is a number, which has no length",
        ),
        ("contains = 'x'", json!("abc"), "/a does not contain \"x\""),
        ("contains = 3", json!([1, 2]), "/a does not contain 3"),
        ("not_contains = 1", json!([1.0, 2]), "/a contains 1"),
        ("equals = '/b'", json!(1), "/a is 1, but there is no /b"),
        ("expr = 'value > 3'", json!(1), "/a does not hold"),
    ] {
        assert_eq!(
            told(&place(body), json!({"a": value})),
            [expected],
            "{body}"
        );
    }
    for (body, value) in [
        ("required = true", json!(false)),
        ("type = 'integer'", json!(2.0)),
        ("one_of = [1]", json!(1.0)),
        ("matches = 'a'", json!("bab")),
        ("min = 1\nmax = 1", json!(1)),
        ("min_length = 1", json!({"x": 1})),
        ("contains = 1", json!([1.0])),
        (
            "matches = 'a'\nmin_length = 9\nexpr = 'value > 3'",
            json!(null),
        ),
    ] {
        let quiet = told(&place(body), json!({"a": value}));
        assert_eq!(quiet, Vec::<String>::new(), "{body}");
    }
}

#[test]
fn values_are_shown_without_what_is_secret_and_rules_are_cut_short() {
    let told = told(
        "path = '/*/n'\nmax_length = 3\nmessage = '{path}: {value} {problem}'",
        json!(vec![json!({"n": "card 4111 1111 1111 1111"}); 300]),
    );
    assert_eq!(
        told[0],
        "/0/n: \"card [card number]\" has 24 characters, must have at most 3"
    );
    assert_eq!(told.len(), 101);
}

#[test]
fn expressions_see_payload_context_and_value_and_say_why_they_cannot_be_checked() {
    let payload = json!({"n": 2, "list": [1, 2.5], "t": "abc"});
    for (expr, expected) in [
        ("payload.n == 2 && context == {}", None),
        ("payload.list.exists(x, x > 2)", None),
        ("sum(payload.list) == 3.5", None),
        ("close(payload.n, 2.004, 0.005)", None),
        ("payload.t.matches('^a') && size(payload.t) == 3", None),
        ("has(payload.x) || value.n == 2", None),
        ("payload.n == 3", Some("does not hold")),
        (
            "payload.x == 3",
            Some("there is no \"x\"; ask has(…) first"),
        ),
        ("payload.n * 2.0 == 4.0", Some("of int and double")),
        ("payload.t < 1", Some("no matching overload")),
        ("payload.n / 0 == 1", Some("a division by zero")),
        ("payload.list[7] == 1", Some("an index beyond")),
        ("sum(payload.t) == 1.0", Some("sum: \"takes a list\"")),
        ("payload.n", Some("gives int, must give true or false")),
        (
            "9223372036854775807 + payload.n > 0",
            Some("a number too large"),
        ),
    ] {
        let told = told(&format!("expr = '''{expr}'''"), payload.clone());
        match expected {
            None => assert_eq!(told, Vec::<String>::new(), "{expr}"),
            Some(expected) => {
                assert!(
                    told.len() == 1 && told[0].contains(expected),
                    "{expr}: {told:?}"
                );
            }
        }
    }
}

#[test]
fn bad_files_name_the_file_the_rule_and_the_reason() {
    let nested = format!("expr = '{}1{} == 1'", "(".repeat(13), ")".repeat(13));
    let deep = format!("expr = '1{} == 1'", " + 1".repeat(40));
    let long = format!("expr = '{}true'", "true && ".repeat(300));
    for (body, expected) in [
        ("", "it asks for nothing"),
        ("matches = '('", "matches: regex parse error"),
        (
            "path = 'a'\nrequired = true",
            "path: \"a\" is no JSON Pointer",
        ),
        ("path = '/ids'\nunique = true", "needs a *"),
        ("min = 2\nmax = 1", "min not over max"),
        ("min_length = 2\nmax_length = 1", "min_length is over"),
        ("equals = '/a/*'", "without *"),
        ("one_of = []", "one_of: is empty"),
        ("expr = 'payload.a ='", "expr: "),
        ("expr = 'payloda.a == 1'", "unknown variable payloda"),
        ("expr = 'summ(payload.a) == 1'", "did you mean sum?"),
        ("expr = 'payload.all(x, y > 1)'", "unknown variable y"),
        ("expr = 'payload.n + 1'", "expr: it gives a sum, and must"),
        ("expr = 'size(payload)'", "it gives a number"),
        ("expr = '\"yes\"'", "it gives a text"),
        ("expr = 'payload.map(x, x == 1)'", "it gives a list"),
        ("expr = 'payload.a ? 1 : 2.0'", "it gives a number"),
        (
            "expr = 'payload.a == 1 && size(payload)'",
            "&& is asked of a number",
        ),
        ("expr = '!(payload.n - 1)'", "! is asked of a number"),
        ("expr = '1 ? true : false'", "? is asked of a number"),
        ("expr = 'payload.all(x, x * 2)'", "is asked of a number"),
        (
            "required = true\nmessage = '{pth} is {value}'",
            "message: {pth} stands for nothing: there are {path}, {problem}, {value}",
        ),
        (
            "required = true\nsuggestion = 'set {field}'",
            "suggestion: {field} stands for nothing",
        ),
        (&nested, "brackets are nested more than 12"),
        (&deep, "levels of operators: use at most 24"),
        (&long, "use at most 2000"),
        ("requird = true", "unknown field `requird`"),
        ("severity = 'bad'\nrequired = true", "unknown variant `bad`"),
    ] {
        let said = rule(body).err().unwrap_or_else(|| body.to_owned());
        assert!(said.starts_with("rules/own.toml: "), "{said}");
        assert!(said.contains(expected), "{body}: {said}");
    }
    assert!(rule("").err().unwrap().contains("rule \"r\": "));
    for (text, expected) in [
        ("name = 'A'\ndescription = ''\nrules = []", "small letters"),
        ("name = 'a'\ndescription = ''\nrules = []", "0 rules"),
        ("name = 'a'", "missing field"),
    ] {
        let said = custom(text).err().unwrap();
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn what_may_give_true_or_false_is_taken() {
    for body in [
        "expr = 'payload.n'",
        "expr = 'dyn(payload.n)'",
        "expr = 'payload.a ? payload.b : 1'",
        "expr = 'payload.all(x, x) || payload.exists_one(x, x > 1)'",
        "expr = 'payload.filter(x, x > 1) == [2]'",
        "expr = 'bool(payload.t)'",
        "required = true\nmessage = '{path} {} {a: 1} { value } {problem}'",
    ] {
        assert_eq!(rule(body).err(), None, "{body}");
    }
}

#[test]
fn what_an_expression_may_do_is_known_before_it_runs() {
    let numbers = |count: usize| json!({"l": (0..count).collect::<Vec<_>>()});
    let cubic = "expr = 'payload.l.all(a, payload.l.all(b, payload.l.all(c, a + b + c >= 0)))'";
    assert_eq!(told(cubic, numbers(20)), Vec::<String>::new());
    let refused = told(cubic, numbers(100));
    assert!(
        refused[0].contains("cannot be checked: the expression may take"),
        "{refused:?}"
    );
    // The inner loop sees what all lines have together, not each time the longest list.
    let nested = "expr = 'payload.all(line, line.tags.all(tag, tag != \"x\"))'";
    let lines = vec![json!({"tags": ["a", "b", "c"]}); 3_000];
    assert_eq!(told(nested, json!(lines)), Vec::<String>::new());
    let of_value = "path = '/*'\nexpr = 'value.tags.all(tag, tag != \"x\")'";
    assert_eq!(told(of_value, json!(lines)), Vec::<String>::new());
    // Many values, each of which looks at all of the payload.
    let square = "path = '/*'\nexpr = 'payload.all(line, size(line.tags) == size(value.tags))'";
    let refused = told(square, json!(lines));
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].contains("cannot be checked: the expression may take"));
    // Each doubles what it is given: 2^24 texts of the payload's size, were it run.
    let bomb = format!("expr = '[payload.t]{} == []'", ".map(x, x + x)".repeat(10));
    let refused = told(&bomb, json!({"t": "x".repeat(100_000)}));
    assert!(
        refused[0].contains("cannot be checked: the expression may take"),
        "{refused:?}"
    );
}

#[test]
fn the_deepest_expressions_run_on_the_stack_of_a_thread() {
    let sum = format!("expr = '1{} == 22'", " + 1".repeat(21));
    assert_eq!(told(&sum, json!([])), Vec::<String>::new());
    let loops = (0..7).fold("true".to_owned(), |inner, at| {
        format!("payload.all(x{at}, {inner})")
    });
    assert_eq!(
        told(&format!("expr = '{loops}'"), json!([1])),
        Vec::<String>::new()
    );
}
