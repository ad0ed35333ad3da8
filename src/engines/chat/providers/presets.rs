//! Services whose address and key variable are known by name.

/// What a preset fills in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Its name in the settings.
    pub name: &'static str,
    /// The wire format.
    pub kind: &'static str,
    /// The address.
    pub base_url: &'static str,
    /// The environment variable with the key; `None` where none is needed.
    pub api_key_env: Option<&'static str>,
}

const fn hosted(name: &'static str, base_url: &'static str, key: &'static str) -> Preset {
    Preset {
        name,
        kind: "openai",
        base_url,
        api_key_env: Some(key),
    }
}

const fn local(name: &'static str, kind: &'static str, base_url: &'static str) -> Preset {
    Preset {
        name,
        kind,
        base_url,
        api_key_env: None,
    }
}

/// Addresses as each service's own documentation gives them.
const PRESETS: [Preset; 17] = [
    hosted("openai", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    hosted(
        "openrouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
    ),
    hosted("opencode", "https://opencode.ai/zen/v1", "OPENCODE_API_KEY"),
    hosted("kimi", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    hosted("moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    hosted("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    hosted("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    hosted(
        "deepseek",
        "https://api.deepseek.com/v1",
        "DEEPSEEK_API_KEY",
    ),
    hosted(
        "together",
        "https://api.together.xyz/v1",
        "TOGETHER_API_KEY",
    ),
    Preset {
        name: "anthropic",
        kind: "anthropic",
        base_url: "https://api.anthropic.com/v1",
        api_key_env: Some("ANTHROPIC_API_KEY"),
    },
    Preset {
        name: "gemini",
        kind: "gemini",
        base_url: "https://generativelanguage.googleapis.com/v1beta",
        api_key_env: Some("GEMINI_API_KEY"),
    },
    local("vllm", "openai", "http://127.0.0.1:8000/v1"),
    local("lmstudio", "openai", "http://127.0.0.1:1234/v1"),
    local("llamacpp", "openai", "http://127.0.0.1:8080/v1"),
    local("ollama", "ollama", "http://127.0.0.1:11434"),
    local("ollama-v1", "openai", "http://127.0.0.1:11434/v1"),
    Preset {
        name: "ollama-cloud",
        kind: "ollama",
        base_url: "https://ollama.com",
        api_key_env: Some("OLLAMA_API_KEY"),
    },
];

/// Lists the presets.
pub fn presets() -> &'static [Preset] {
    &PRESETS
}

/// Finds a preset by its name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::chat::{ChatConfig, ProviderConfig, kinds};

    #[test]
    fn every_preset_makes_a_valid_provider() {
        for known in presets() {
            assert!(kinds().contains(&known.kind), "{}", known.name);
            let provider = ProviderConfig {
                preset: Some(known.name.into()),
                ..ProviderConfig::default()
            };
            let config = ChatConfig {
                providers: [("p".to_owned(), provider)].into(),
                ..ChatConfig::default()
            };
            assert_eq!(config.validate(), Ok(()), "{}", known.name);
        }
    }
}
