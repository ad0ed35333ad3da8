use super::upstreams::judge;
use super::*;

fn settings_in(folder: &std::path::Path) -> Settings {
    let mut settings = Settings::default();
    settings.storage.data_dir = folder.join("data");
    settings
}

fn worst(found: &[Finding]) -> Level {
    found.iter().map(|one| one.level).max().unwrap()
}

#[test]
fn fresh_settings_and_a_folder_that_is_not_there_yet_are_fine() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings_in(folder.path());
    assert_eq!(worst(&super::settings(&settings)), Level::Ok);
    assert_eq!(worst(&data(&settings)), Level::Ok);
    assert!(!settings.storage.data_dir.exists());
    let found = models(&settings);
    assert!(
        found[0].what.contains("static-minilm answers: 256"),
        "{found:?}"
    );
}

#[test]
fn what_a_start_would_refuse_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings_in(folder.path());
    settings.validation.fill.roster = Some("/nonexistent.csv".into());
    settings.dataset.recipe = Some("/nonexistent.toml".into());
    settings.supervisors.allow_crash = true;
    let found = super::settings(&settings);
    let levels: Vec<Level> = found.iter().map(|one| one.level).collect();
    assert_eq!(levels, [Level::Fail, Level::Fail, Level::Warn], "{found:?}");
    assert!(found[0].what.contains("/nonexistent.csv"), "{found:?}");
    assert!(found.iter().all(|one| one.fix.is_some()));
}

#[test]
fn an_engine_that_this_build_does_not_have_or_that_is_not_there_is_told() {
    let mut settings = Settings::default();
    let found = |settings: &Settings| actix::System::new().block_on(super::backends(settings));
    assert_eq!(found(&settings), []);
    // A port that nobody listens on, or an engine that is not compiled in.
    settings.backends.qdrant.url = "http://127.0.0.1:1".to_owned();
    let found = found(&settings);
    assert_eq!((found.len(), found[0].level), (1, Level::Fail), "{found:?}");
    assert!(found[0].what.contains("qdrant"), "{found:?}");
}

#[cfg(unix)]
#[test]
fn a_folder_that_others_read_and_a_broken_journal_and_manifest_are_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let settings = settings_in(folder.path());
    let dir = &settings.storage.data_dir;
    for path in ["evidence", "collections/docs"] {
        std::fs::create_dir_all(dir.join(path)).unwrap();
    }
    let level = |mode, says: &str| {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(mode)).unwrap();
        let found = data(&settings);
        let told = found.iter().find(|one| one.what.contains(says));
        told.map(|one| one.level)
    };
    assert_eq!(level(0o700, "others may"), None);
    assert_eq!(level(0o755, "others may read"), Some(Level::Warn));
    assert_eq!(level(0o777, "others may write"), Some(Level::Fail));
    std::fs::write(dir.join("evidence/evidence-00000001.jsonl"), "no record\n").unwrap();
    assert_eq!(
        level(0o700, "evidence journal is damaged"),
        Some(Level::Fail)
    );
    std::fs::write(dir.join("collections/docs/MANIFEST"), "no manifest").unwrap();
    assert_eq!(level(0o700, "docs does not open"), Some(Level::Fail));
    assert_eq!(level(0o700, "can be written"), Some(Level::Ok));
}

#[test]
fn answers_of_upstreams_are_judged() {
    for (status, level) in [
        (200, Level::Ok),
        (404, Level::Ok),
        (401, Level::Fail),
        (403, Level::Fail),
        (429, Level::Warn),
        (500, Level::Warn),
    ] {
        assert_eq!(judge("chat provider", "up", Ok(status), 1).level, level);
    }
}
