use super::*;

fn task(more: &Value) -> Task {
    let mut task = json!({
        "seq": 1, "ts": 1_000, "id": "chatcmpl-1", "request_id": "r", "key": "k", "outcome": "accepted", "reasons": [],
        "model": "main", "answered_by": "up/m", "messages": [
            {"role": "system", "content": "be kind"}, {"role": "user", "content": "When does the ferry leave?"}],
        "answer": "At nine [1].", "finish_reason": "stop", "passages": [
            {"collection": "docs", "id": "1", "score": 1.0, "text": "nine", "cited": true},
            {"collection": "docs", "id": "2", "score": 0.5, "text": "ten", "cited": false}],
        "validations": [], "latency_ms": 40
    });
    for (name, value) in more.as_object().unwrap() {
        task[name] = value.clone();
    }
    serde_json::from_value(task).unwrap()
}

#[test]
fn a_candidate_changes_what_it_names_and_nothing_else() {
    let task = task(&json!({}));
    let same = Candidate::default().ask(&task).unwrap();
    assert_eq!(
        same.body,
        json!({"model": "main", "messages": task.messages, "retrieval": {"collection": "docs", "k": 2}})
    );
    let candidate = Candidate {
        model: Some("other".into()),
        system: Some("be brief".into()),
        temperature: Some(0.0),
        max_tokens: Some(9),
        retrieval: Retrieval::Off,
    };
    let other = candidate.ask(&task).unwrap();
    assert_eq!(
        other.body,
        json!({"model": "other", "temperature": 0.0, "max_tokens": 9, "messages": [
            {"role": "system", "content": "be brief"}, {"role": "user", "content": "When does the ferry leave?"}]})
    );
    let set = json!({"collection": "new", "mode": "dense"});
    let retrieval = Retrieval::Set(set.as_object().unwrap().clone());
    let set_body = Candidate {
        retrieval,
        ..Candidate::default()
    }
    .ask(&task)
    .unwrap()
    .body;
    assert_eq!(set_body["retrieval"], set);
}

#[test]
fn what_cannot_be_compared_is_not_asked() {
    let candidate = Candidate::default();
    assert_eq!(candidate.ask(&task(&json!({"answer": " "}))), None);
    assert_eq!(candidate.ask(&task(&json!({"messages": []}))), None);
}

#[test]
fn a_selection_goes_by_outcome_model_and_time() {
    let task = task(&json!({}));
    let all = Selection::default();
    assert!(all.has(&task));
    for (selection, has) in [
        (
            Selection {
                model: Some("up/m".into()),
                ..all.clone()
            },
            true,
        ),
        (
            Selection {
                model: Some("main".into()),
                ..all.clone()
            },
            true,
        ),
        (
            Selection {
                model: Some("m".into()),
                ..all.clone()
            },
            false,
        ),
        (
            Selection {
                since_ms: Some(1_000),
                ..all.clone()
            },
            true,
        ),
        (
            Selection {
                since_ms: Some(1_001),
                ..all.clone()
            },
            false,
        ),
        (
            Selection {
                until_ms: Some(1_000),
                ..all.clone()
            },
            false,
        ),
        (
            Selection {
                outcomes: [Outcome::Rejected].into(),
                ..all.clone()
            },
            false,
        ),
    ] {
        assert_eq!(selection.has(&task), has, "{selection:?}");
    }
}

#[test]
fn an_answer_is_measured_beside_what_was_recorded() {
    let edited = task(
        &json!({"answer": "It leaves at nine.", "original_answer": "It leaves at ten.", "cost_usd": 0.25}),
    );
    let asked = Candidate::default().ask(&edited).unwrap();
    let answered = Answered {
        text: "at NINE".into(),
        cited: ["2".to_owned()].into(),
        similarity: Some((0.9, Some(0.7))),
        validated: Some((1, 2)),
        latency_ms: 30,
        completion_tokens: Some(2),
        cost_usd: Some(0.125),
        ..Answered::default()
    };
    let line = Replayed::of(&asked, &answered);
    let expected = json!({"answered": 1.0, "citations": 0.0, "completion_tokens": 2.0, "cost_usd": 0.125,
        "latency_ms": 30.0, "overlap": 2.0 * 2.0 / 6.0, "similarity": 0.9, "valid": 0.5});
    assert_eq!(json!(line.candidate), expected);
    let expected = json!({"answered": 1.0, "citations": 1.0, "cost_usd": 0.25, "latency_ms": 40.0, "overlap": 0.75,
        "similarity": 0.7});
    assert_eq!(json!(line.recorded), expected);

    let lost = Replayed::failed(&asked, "upstream gone");
    let expected = json!({"answered": 0.0, "citations": 0.0, "overlap": 0.0, "similarity": 0.0});
    assert_eq!(json!(lost.candidate), expected);

    let all = summary(&[line.clone(), lost.clone()]);
    assert_eq!((all.tasks, all.failed), (2, 1));
    assert_eq!(all.candidate["similarity"].mean, 0.45);
    assert!((all.difference["similarity"].mean - (0.2 - 1.0) / 2.0).abs() < 1e-9);
    assert_eq!(all.difference["latency_ms"].tasks, 1);

    let page = html("a <b>", &all, &[line, lost]);
    for part in [
        "a &lt;b&gt;",
        "<del>",
        "<ins>",
        "upstream gone",
        "1 without an answer",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    // What is lost comes before what only changed.
    assert!(
        page.find("No answer").unwrap() < page.find("<del>").unwrap(),
        "{page}"
    );
}

#[test]
fn overlap_is_of_words_and_empty_texts_are_alike() {
    for (one, other, expected) in [
        ("A b", "b a", 1.0),
        ("a a b", "a b b", 2.0 * 2.0 / 6.0),
        ("", "", 1.0),
        ("", "a", 0.0),
        ("x", "y", 0.0),
    ] {
        assert!(
            (overlap(one, other) - expected).abs() < 1e-9,
            "{one} {other}"
        );
    }
}

#[test]
fn markup_in_answers_stays_text() {
    let hostile = task(&json!({"answer": "<script>alert(1)</script>", "messages": [
        {"role": "user", "content": "<img src=x onerror=alert(1)>"}]}));
    let asked = Candidate::default().ask(&hostile).unwrap();
    let text = "<script>alert(2)</script> \"</pre>".to_owned();
    let line = Replayed::of(
        &asked,
        &Answered {
            text,
            ..Answered::default()
        },
    );
    let page = html("t", &summary(std::slice::from_ref(&line)), &[line]);
    assert!(
        !page.contains("<script") && !page.contains("<img"),
        "{page}"
    );
}

#[test]
fn tasks_and_rows_of_exports_are_read() {
    let whole = task(&json!({}));
    assert_eq!(task_of(&json!(whole).to_string()), Ok(whole));
    let row = json!({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]});
    let read = task_of(&row.to_string()).unwrap();
    let asked = Candidate::default().ask(&read).unwrap();
    assert_eq!(asked.reference, "a");
    assert_eq!(
        asked.body,
        json!({"messages": [{"role": "user", "content": "q"}]})
    );
    for wrong in [
        "",
        "7",
        "{}",
        r#"{"messages": [{"role": "user", "content": "q"}]}"#,
        r#"{"seq": 1}"#,
    ] {
        assert!(task_of(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn costs_are_summed_where_they_are_known_and_the_rest_is_told() {
    let line = |own: Option<f64>, then: Option<f64>| {
        let asked = Candidate::default().ask(&task(&json!({"cost_usd": then})));
        let answered = Answered {
            text: "At nine.".into(),
            cost_usd: own,
            ..Answered::default()
        };
        Replayed::of(&asked.unwrap(), &answered)
    };
    let lines = [
        line(Some(0.000_2), Some(0.001)),
        line(Some(0.000_4), Some(0.001)),
        line(Some(0.0), None),
        line(None, Some(0.001)),
    ];
    let all = summary(&lines);
    let sum = |cost: &Cost| cost.sum.map(|sum| (sum.mean, sum.tasks));
    let close = |cost: &Cost, expected: f64, tasks| {
        let (found, of) = sum(cost).unwrap();
        assert!((found - expected).abs() < 1e-12 && of == tasks, "{cost:?}");
    };
    close(&all.cost.candidate, 0.000_6, 3);
    close(&all.cost.recorded, 0.003, 3);
    close(&all.cost.difference, -0.001_4, 2);
    let unknown = [all.cost.candidate, all.cost.recorded, all.cost.difference];
    assert_eq!(unknown.map(|cost| cost.unknown), [1, 1, 2]);
    let total = all.cost.candidate.sum.unwrap();
    let mean = all.candidate["cost_usd"];
    assert!((total.low - 3.0 * mean.low).abs() < 1e-12 && total.low < total.mean);
    assert!((total.high - 3.0 * mean.high).abs() < 1e-12 && total.high > total.mean);
    let page = html("t", &all, &lines);
    assert!(page.contains("candidate 0.000600 "), "{page}");
    assert!(
        page.contains("1 task not known") && page.contains(" · cost not known"),
        "{page}"
    );

    let none = summary(&[line(None, None)]);
    assert_eq!(
        (none.cost.candidate.sum, none.cost.candidate.unknown),
        (None, 1)
    );
    let told = serde_json::to_value(none.cost.candidate).unwrap();
    assert_eq!(told, json!({"sum": null, "unknown": 1}));
    assert!(html("t", &none, &[line(None, None)]).contains("candidate not known;"));
}

#[test]
fn small_sums_are_shown_with_what_counts() {
    for (value, expected) in [
        (0.0, 3),
        (1.0, 3),
        (10.0, 0),
        (0.001, 3),
        (0.000_45, 6),
        (-0.000_001, 8),
        (1e-300, 3),
        (f64::NAN, 3),
    ] {
        assert_eq!(digits(value), expected, "{value}");
    }
}
