//! The well-known providers: their address, and the environment variable that usually holds the key. Names
//! are those of LiteLLM's price list; addresses and variables are those of each provider's documentation.

/// A provider that comes with the program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownProvider {
    pub(crate) name: &'static str,
    pub(crate) display_name: &'static str,
    pub(crate) api_type: &'static str,
    pub(crate) base_url: Option<&'static str>,
    pub(crate) api_key_env: Option<&'static str>,
    pub(crate) is_local: bool,
}

/// A remote provider with OpenAI's protocol, which most have.
const fn openai_like(
    name: &'static str,
    display_name: &'static str,
    base_url: &'static str,
    api_key_env: &'static str,
) -> KnownProvider {
    KnownProvider {
        name,
        display_name,
        api_type: "openai",
        base_url: Some(base_url),
        api_key_env: Some(api_key_env),
        is_local: false,
    }
}

/// A provider on the caller's own machine, on its default port.
const fn local(
    name: &'static str,
    display_name: &'static str,
    api_type: &'static str,
    base_url: &'static str,
) -> KnownProvider {
    KnownProvider {
        name,
        display_name,
        api_type,
        base_url: Some(base_url),
        api_key_env: None,
        is_local: true,
    }
}

pub(super) const PROVIDERS: &[KnownProvider] = &[
    KnownProvider {
        name: "anthropic",
        display_name: "Anthropic",
        api_type: "anthropic",
        base_url: Some("https://api.anthropic.com"),
        api_key_env: Some("ANTHROPIC_API_KEY"),
        is_local: false,
    },
    KnownProvider {
        name: "gemini",
        display_name: "Google Gemini",
        api_type: "google",
        base_url: Some("https://generativelanguage.googleapis.com"),
        api_key_env: Some("GEMINI_API_KEY"),
        is_local: false,
    },
    KnownProvider {
        name: "cohere",
        display_name: "Cohere",
        api_type: "cohere",
        base_url: Some("https://api.cohere.com"),
        api_key_env: Some("COHERE_API_KEY"),
        is_local: false,
    },
    KnownProvider {
        name: "azure",
        display_name: "Azure OpenAI",
        api_type: "azure",
        base_url: None,
        api_key_env: Some("AZURE_API_KEY"),
        is_local: false,
    },
    KnownProvider {
        name: "bedrock",
        display_name: "Amazon Bedrock",
        api_type: "bedrock",
        base_url: None,
        api_key_env: Some("AWS_BEARER_TOKEN_BEDROCK"),
        is_local: false,
    },
    KnownProvider {
        name: "vertex_ai",
        display_name: "Google Vertex AI",
        api_type: "vertex",
        base_url: None,
        api_key_env: Some("GOOGLE_APPLICATION_CREDENTIALS"),
        is_local: false,
    },
    openai_like(
        "openai",
        "OpenAI",
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
    ),
    openai_like(
        "mistral",
        "Mistral AI",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
    ),
    openai_like(
        "groq",
        "Groq",
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
    ),
    openai_like(
        "deepseek",
        "DeepSeek",
        "https://api.deepseek.com",
        "DEEPSEEK_API_KEY",
    ),
    openai_like("xai", "xAI", "https://api.x.ai/v1", "XAI_API_KEY"),
    openai_like(
        "openrouter",
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
    ),
    openai_like(
        "together_ai",
        "Together AI",
        "https://api.together.xyz/v1",
        "TOGETHER_API_KEY",
    ),
    openai_like(
        "fireworks_ai",
        "Fireworks AI",
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_API_KEY",
    ),
    openai_like(
        "perplexity",
        "Perplexity",
        "https://api.perplexity.ai",
        "PERPLEXITY_API_KEY",
    ),
    openai_like(
        "cerebras",
        "Cerebras",
        "https://api.cerebras.ai/v1",
        "CEREBRAS_API_KEY",
    ),
    openai_like(
        "deepinfra",
        "DeepInfra",
        "https://api.deepinfra.com/v1/openai",
        "DEEPINFRA_API_KEY",
    ),
    openai_like(
        "nebius",
        "Nebius",
        "https://api.studio.nebius.com/v1",
        "NEBIUS_API_KEY",
    ),
    openai_like(
        "novita",
        "Novita AI",
        "https://api.novita.ai/v3/openai",
        "NOVITA_API_KEY",
    ),
    openai_like(
        "sambanova",
        "SambaNova",
        "https://api.sambanova.ai/v1",
        "SAMBANOVA_API_KEY",
    ),
    openai_like(
        "moonshot",
        "Moonshot AI",
        "https://api.moonshot.ai/v1",
        "MOONSHOT_API_KEY",
    ),
    openai_like(
        "nvidia_nim",
        "NVIDIA NIM",
        "https://integrate.api.nvidia.com/v1",
        "NVIDIA_API_KEY",
    ),
    openai_like(
        "hyperbolic",
        "Hyperbolic",
        "https://api.hyperbolic.xyz/v1",
        "HYPERBOLIC_API_KEY",
    ),
    local("ollama", "Ollama", "ollama", "http://127.0.0.1:11434"),
    local(
        "lm_studio",
        "LM Studio",
        "openai",
        "http://127.0.0.1:1234/v1",
    ),
    local("vllm", "vLLM", "openai", "http://127.0.0.1:8000/v1"),
    local(
        "llamafile",
        "llamafile",
        "openai",
        "http://127.0.0.1:8080/v1",
    ),
];

/// The provider with this name, regardless of case.
pub(crate) fn known_provider(name: &str) -> Option<&'static KnownProvider> {
    PROVIDERS
        .iter()
        .find(|known| known.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalog::{bounds, providers::new_provider},
        providers::{
            base_url,
            dto::{ProviderCreate, ProviderUpdate},
        },
    };
    use poem_openapi::types::MaybeUndefined;

    #[test]
    fn the_well_known_providers_are_within_the_bounds_of_the_api() {
        for known in PROVIDERS {
            let ProviderCreate {
                name,
                api_type,
                display_name,
                base_url,
                api_key_env,
                is_local,
                config,
            } = new_provider(known.name);
            let checked = base_url::check(base_url.as_deref(), is_local);
            assert_eq!(checked, Ok(()), "{name}");
            let update = ProviderUpdate {
                name: Some(name),
                api_type: Some(api_type),
                display_name: MaybeUndefined::from_opt_undefined(display_name),
                base_url: MaybeUndefined::from_opt_undefined(base_url),
                api_key_env: MaybeUndefined::from_opt_undefined(api_key_env),
                is_local: Some(is_local),
                config: Some(config),
            };
            assert_eq!(bounds::check_provider(&update), Ok(()), "{}", known.name);
        }
    }
}
