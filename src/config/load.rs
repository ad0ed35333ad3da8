//! Layers of settings: compiled in, file, environment, flags.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat};

use super::{Settings, schema};

/// The defaults and the manual.
pub(super) const DEFAULT: &str = include_str!("../../config/default.toml");
/// The file that is read from the working folder.
const LOCAL: &str = "boathouse.toml";

/// Settings that cannot be used. The process ends with status 64 before it binds a port.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file named on the command line cannot be read.
    #[error("settings file {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A key or a value that does not exist.
    #[error("settings: {0}")]
    Malformed(String),
    /// A value out of bounds.
    #[error("settings: [{section}] {problem}")]
    Invalid {
        /// The table at fault.
        section: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
}

/// What the command line sets; it wins over all else.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// Dotted key and value, such as `("http.port", "0")`.
    pub values: Vec<(&'static str, String)>,
}

/// The manual of all settings as a page of Markdown: what `docs/CONFIG.md` holds.
pub fn manual() -> String {
    format!(
        "# Settings\n\nRendered by `boathouse config docs`: the manual is `config/default.toml`, the table below it is made of the types. An environment \
         variable sets one key: `BOATHOUSE__HTTP__PORT=9000`.\n\nFor editors, `boathouse config schema > boathouse.schema.json` writes the JSON Schema of the file; with \
         `#:schema ./boathouse.schema.json` as the first line of `boathouse.toml`, those that know it (Taplo, Even Better TOML) complete and check keys and values.\n\n\
         ```toml\n{DEFAULT}```\n\n## Every key\n\nType, bounds and default, as the types have them. `NAME` is a name of yours.\n\n{}",
        schema::table()
    )
}

/// Loads and checks the settings. `environment` holds the process's variables.
///
/// Errors: a file that cannot be read, an unknown key (with the nearest known), a value out of bounds.
pub fn load(
    overrides: &Overrides,
    environment: HashMap<String, String>,
) -> Result<Settings, ConfigError> {
    let mut layers = Config::builder().add_source(File::from_str(DEFAULT, FileFormat::Toml));
    if let Some(path) = overrides.file.clone().or_else(|| found_file(&environment)) {
        let text = std::fs::read_to_string(&path).map_err(|error| ConfigError::File {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        // Parsed by itself first, so that an error names the file and line.
        toml::from_str::<toml::Table>(&text).map_err(|error| ConfigError::File {
            path,
            reason: error.to_string(),
        })?;
        layers = layers.add_source(File::from_str(&text, FileFormat::Toml));
    }
    layers = layers.add_source(
        Environment::with_prefix("BOATHOUSE")
            .prefix_separator("__")
            .separator("__")
            .try_parsing(true)
            .source(Some(environment)),
    );
    for (key, value) in &overrides.values {
        layers = layers
            .set_override(*key, value.as_str())
            .map_err(malformed)?;
    }
    let settings: Settings = layers
        .build()
        .and_then(Config::try_deserialize)
        .map_err(malformed)?;
    settings.validate()?;
    Ok(settings)
}

fn found_file(environment: &HashMap<String, String>) -> Option<PathBuf> {
    let local = PathBuf::from(LOCAL);
    if local.is_file() {
        return Some(local);
    }
    let base = environment
        .get("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| {
            environment
                .get("HOME")
                .map(|home| Path::new(home).join(".config"))
        })?;
    Some(base.join("boathouse").join(LOCAL)).filter(|path| path.is_file())
}

fn malformed(error: config::ConfigError) -> ConfigError {
    let text = error.to_string();
    ConfigError::Malformed(match nearest(&text) {
        Some(name) => format!("{text}; did you mean `{name}`?"),
        None => text,
    })
}

/// Reads serde's "unknown field `x`, expected one of `a`, `b`" and picks the nearest of those expected.
fn nearest(text: &str) -> Option<String> {
    let rest = &text[text.find("unknown field `")?..];
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let wrong = quoted.next()?;
    quoted
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 3)
        .min()
        .map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(values: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let environment = values
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        load(&Overrides::default(), environment)
    }

    fn with_file(text: &str) -> Result<Settings, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.toml");
        std::fs::write(&path, text).unwrap();
        load(
            &Overrides {
                file: Some(path),
                values: Vec::new(),
            },
            HashMap::new(),
        )
    }

    #[test]
    fn the_manual_is_the_defaults() {
        let manual: Settings = toml::from_str(DEFAULT).unwrap();
        assert_eq!(manual, Settings::default());
        manual.validate().unwrap();
    }

    #[test]
    fn the_page_is_up_to_date() {
        let page = include_str!("../../docs/CONFIG.md");
        assert!(
            page == manual(),
            "run `cargo run -- config docs > docs/CONFIG.md`"
        );
    }

    /// Every key of `value` stands in `manual`.
    fn covered(path: &str, value: &toml::Value, manual: &toml::Value) {
        let Some(table) = value.as_table() else {
            return;
        };
        for (key, below) in table {
            let path = format!("{path}.{key}");
            let described = manual
                .get(key)
                .unwrap_or_else(|| panic!("{path} is not in the manual"));
            covered(&path, below, described);
        }
    }

    #[test]
    fn the_manual_names_every_setting() {
        let all = toml::Value::try_from(Settings::default()).unwrap();
        covered("", &all, &toml::from_str(DEFAULT).unwrap());
    }

    #[test]
    fn later_layers_win() {
        assert_eq!(with(&[]).unwrap().http.port, 8642);
        assert_eq!(with_file("[http]\nport = 1").unwrap().http.port, 1);
        assert_eq!(
            with(&[("BOATHOUSE__HTTP__PORT", "2")]).unwrap().http.port,
            2
        );
        let flags = Overrides {
            file: None,
            values: vec![("http.port", "3".to_owned())],
        };
        let environment = HashMap::from([("BOATHOUSE__HTTP__PORT".to_owned(), "2".to_owned())]);
        assert_eq!(load(&flags, environment).unwrap().http.port, 3);
    }

    #[test]
    fn wrong_settings_say_what_would_be_right() {
        for (text, expected) in [
            ("[http]\nprot = 1", "did you mean `port`"),
            ("[htp]\nport = 1", "did you mean `http`"),
            ("[http]\nport = \"many\"", "port"),
            ("[http]\nmax_body_bytes = 1", "must be 1024 to"),
            ("[http\n", "some.toml"),
            ("[http]\nbind = \"example.com\"", "not an IP address"),
            ("[http]\ncors_origins = [\"*\"]", "is no origin"),
            (
                "[supervisors.children.embedding]\nworkers = 0",
                "children.embedding: workers",
            ),
        ] {
            let error = with_file(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let absent = Overrides {
            file: Some("absent.toml".into()),
            values: Vec::new(),
        };
        assert!(
            load(&absent, HashMap::new())
                .unwrap_err()
                .to_string()
                .contains("absent.toml")
        );
    }
}
