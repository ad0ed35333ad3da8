//! The table in README.md names the tests here, all of them and no others.

use std::collections::BTreeSet;

const README: &str = include_str!("../../README.md");
const TESTS: [&str; 6] = [
    include_str!("admin.rs"),
    include_str!("exits.rs"),
    include_str!("restarts.rs"),
    include_str!("significant.rs"),
    include_str!("start.rs"),
    include_str!("stop.rs"),
];

/// The names in the first column of rows with one of these verdicts.
fn rows(verdicts: &[&str]) -> BTreeSet<&'static str> {
    let table = README.split("<!-- supervisor_SUITE -->").nth(1).unwrap();
    let mut names = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let (name, verdict) = (cells.next().unwrap(), cells.next().unwrap());
        if verdicts.contains(&verdict) {
            names.extend(name.split('`').skip(1).step_by(2));
        }
    }
    names
}

#[test]
fn the_readme_names_every_test_and_no_other() {
    let mut tests = BTreeSet::new();
    for source in TESTS {
        for function in source.split("#[test]\nfn ").skip(1) {
            tests.extend(function.split('(').next());
        }
    }
    assert_eq!(rows(&["holds", "differs"]), tests);
    assert!(rows(&["does not apply"]).is_disjoint(&tests));
}
