//! The estimate against the exact likeness, and what is found against comparing each with each.

use proptest::prelude::*;

use super::*;

fn texts(answered: &str) -> Texts {
    Texts {
        asked: "what is it".to_owned(),
        answered: answered.to_owned(),
        class: 0,
    }
}

fn whole(texts: &Texts) -> Shingles {
    Shingles::of(&[&texts.asked, &texts.answered])
}

/// Texts that have `shared` words in common and then differ.
fn pair(shared: usize, other: usize) -> (String, String) {
    let text = |own: &str| -> String {
        let common = (0..shared).map(|n| format!("w{n} "));
        common
            .chain((0..other).map(|n| format!("{own}{n} ")))
            .collect()
    };
    (text("a"), text("b"))
}

#[test]
fn shingles_are_words_and_jaccard_is_exact() {
    let of = |text: &str| Shingles::of(&[text]);
    assert_eq!(
        of("The ferry, leaves AT nine."),
        of("the ferry leaves at nine")
    );
    assert_ne!(of("the ferry leaves"), of("leaves ferry the"));
    assert_ne!(Shingles::of(&["a", ""]), Shingles::of(&["", "a"]));
    // Of the words a b c d and a b c e: one of three triples is shared.
    assert_eq!(jaccard(&of("a b c d"), &of("a b c e")), 1.0 / 3.0);
    assert_eq!(jaccard(&of("渡船九点开"), &of("渡船九点开。")), 1.0);
    assert_eq!(jaccard(&of(" ... "), &of("")), 0.0);
}

#[test]
fn rows_without_words_are_like_nothing() {
    let near = Near::new(0.85);
    assert!(near.sketch(&texts(" \u{1f6a3} ... ")).is_none());
    assert!(near.sketch(&Texts::default()).is_none());
}

#[test]
fn bands_are_wide_where_much_likeness_is_asked_for() {
    for likeness in [0.5, 0.6, 0.7, 0.85, 0.95, 1.0] {
        let band = band_of(likeness);
        let missed = (1.0 - likeness.powf(band as f64)).powf((MINIMA / band) as f64);
        assert!(missed <= MISSED, "{likeness}: {band}");
    }
    assert_eq!((band_of(0.5), band_of(0.85), band_of(1.0)), (3, 8, 32));
}

#[test]
fn a_crowd_is_bounded() {
    let mut near = Near::new(1.0);
    // All agree on most bands, none is like another.
    for n in 0..500 {
        let text = format!("{} {n}", pair(400, 0).0);
        let sketch = near.sketch(&texts(&text)).unwrap();
        near.keep(sketch, n);
    }
    assert!(
        near.buckets
            .values()
            .all(|bucket| bucket.len() <= MAX_BUCKET)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Five standard errors, and what chance leaves of the truncated minima.
    #[test]
    fn the_estimate_is_near_the_exact_likeness(shared in 0_usize..120, other in 0_usize..60) {
        let (one, other) = pair(shared, other);
        let (one, other) = (Shingles::of(&[&one]), Shingles::of(&[&other]));
        let exact = jaccard(&one, &other);
        if let (Some(one), Some(other)) = (Minima::of(&one), Minima::of(&other)) {
            let estimate = agreement(&one.lower(), &other.lower());
            let error = (exact * (1.0 - exact) / MINIMA as f64).sqrt();
            prop_assert!((estimate - exact).abs() <= 5.0 * error + 0.01, "{estimate} {exact}");
        }
    }

    /// Against the exact likeness of each with each: what is clearly above is dropped and what is
    /// clearly below is kept, and that is decided by the order alone.
    #[test]
    fn what_is_kept_is_what_an_exact_search_would_keep(
        rows in proptest::collection::vec((0_usize..3, 0_usize..80, 0_usize..30), 1..25),
        likeness in proptest::sample::select(vec![0.5, 0.7, 0.85]),
    ) {
        let text = |(start, shared, own): &(usize, usize, usize), at: usize| -> String {
            let common = (0..20 + shared).map(|n| format!("s{start}w{n} "));
            common.chain((0..*own).map(|n| format!("r{at}w{n} "))).collect()
        };
        let rows: Vec<Texts> =
            rows.iter().enumerate().map(|(at, row)| texts(&text(row, at))).collect();
        let mut near = Near::new(likeness);
        let mut kept: Vec<usize> = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            let sketch = near.sketch(row).unwrap();
            let nearest = kept
                .iter()
                .map(|other| {
                    let answered = |texts: &Texts| Shingles::of(&[&texts.answered]);
                    let other = &rows[*other];
                    jaccard(&whole(row), &whole(other))
                        .min(jaccard(&answered(row), &answered(other)))
                })
                .fold(0.0, f64::max);
            match near.find(&sketch) {
                Some(like) => {
                    prop_assert!(kept.contains(&(like.row as usize)));
                    prop_assert!(nearest > likeness - 0.2, "dropped at {nearest}");
                }
                None => {
                    prop_assert!(nearest < likeness + 0.2, "kept at {nearest}");
                    near.keep(sketch, at as u32);
                    kept.push(at);
                }
            }
        }
    }
}
