//! What the key of an entry in a price list names.
//!
//! LiteLLM routes a call by its key, so most keys begin with the route: `groq/llama-3.3-70b-versatile` is
//! `llama-3.3-70b-versatile` in Groq's API. The rest is the model's name, whatever slashes it has:
//! `groq/openai/gpt-oss-120b` is `openai/gpt-oss-120b`. In LiteLLM's list of November 2026, more than four
//! fifths of the 4,552 keys have a route. Some keys are no model's: they state the price of a model in a
//! region, in a size of image or under a commitment (`azure/eu/gpt-4o`, `hd/1024-x-1024/dall-e-3`), or of a
//! class of models (`together-ai-4.1b-8b`).

use std::sync::LazyLock;

use regex::Regex;

/// Routes that are neither the provider of their entries nor the start of its name.
const OTHER_ROUTES: [(&str, &str); 2] = [("azure_text", "azure"), ("amazon_nova", "amazon-nova")];

/// The APIs of Bedrock, which LiteLLM's keys name between the route and the model.
const BEDROCK_APIS: [&str; 3] = ["invoke/", "converse/", "claude_platform/"];

/// How the keys begin that are for all models of some size.
const PRICE_CLASSES: [&str; 2] = ["together-ai-", "fireworks-ai-"];

/// A part of a key that makes it the key of a price: a size, a number of steps, a commitment, or a region
/// of AWS or Google.
static PRICE_PART: LazyLock<Regex> = LazyLock::new(|| {
    let regions =
        r"[a-z]{2}(-gov)?-[a-z]+-\d|(us|europe|asia|australia|[a-z]+america|me|africa)-[a-z]+\d+";
    let pattern =
        format!(r"^(\d+-x-\d+|max-x-max|(\d+|max)-steps|\*|\d+-month-commitment|{regions})$");
    Regex::new(&pattern).expect("a constant pattern")
});

/// The data zones of Azure.
static AZURE_ZONE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("^([a-z]{2}|apac|us-gov|global|global-standard)$").expect("a constant pattern")
});

/// The quality of an image, before or after its size.
const QUALITIES: [&str; 8] = [
    "low", "medium", "high", "xhigh", "max", "auto", "standard", "hd",
];

/// What a key names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named<'k> {
    /// A model, by its name in the provider's API.
    Model(&'k str),
    /// A price of this model, in this region, size or the like.
    Price { model: &'k str, part: &'k str },
    /// A price of all models of some size.
    PriceClass,
}

/// What the key of an entry of this provider names.
pub(super) fn read_key<'k>(provider: &str, key: &'k str) -> Named<'k> {
    let hyphenated = format!("{provider}-").replace('_', "-");
    let is_class = |class: &&str| key.starts_with(*class) && hyphenated.starts_with(*class);
    if PRICE_CLASSES.iter().any(is_class) {
        return Named::PriceClass;
    }
    let routed = without_route(provider, key);
    let rest = routed.unwrap_or(key);
    let (part, name) = split_price(provider, rest);
    if !part.is_empty() {
        let model = match routed {
            Some(_) => name,
            None => without_route(provider, name).unwrap_or(name),
        };
        return Named::Price { model, part };
    }
    let without_api = BEDROCK_APIS.iter().find_map(|api| name.strip_prefix(api));
    Named::Model(
        without_api
            .filter(|_| provider == "bedrock")
            .unwrap_or(name),
    )
}

/// The key without the route of its provider. The route of `vertex_ai-anthropic_models` is `vertex_ai`.
fn without_route<'k>(provider: &str, key: &'k str) -> Option<&'k str> {
    let (route, rest) = key.split_once('/')?;
    let is_family = || {
        let suffix = provider.strip_prefix(route);
        suffix.is_some_and(|suffix| suffix.starts_with('-'))
    };
    let is_route = route == provider || is_family() || OTHER_ROUTES.contains(&(provider, route));
    (is_route && !rest.is_empty()).then_some(rest)
}

/// The leading parts that describe a price, without the last slash, and the rest.
fn split_price<'k>(provider: &str, rest: &'k str) -> (&'k str, &'k str) {
    let is_price = |part: &str| {
        PRICE_PART.is_match(part) || (provider.starts_with("azure") && AZURE_ZONE.is_match(part))
    };
    let mut end = 0;
    let mut found = false;
    while let Some((part, _)) = rest[end..].split_once('/') {
        let describes = is_price(part);
        if !describes && !QUALITIES.contains(&part) {
            break;
        }
        found |= describes;
        end += part.len() + 1;
    }
    if found && end < rest.len() {
        (&rest[..end - 1], &rest[end..])
    } else {
        ("", rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_leading_route_is_no_part_of_the_name() {
        for (provider, key, name) in [
            ("groq", "groq/llama-3.3-70b", "llama-3.3-70b"),
            ("groq", "groq/openai/gpt-oss-120b", "openai/gpt-oss-120b"),
            ("groq", "openai/gpt-oss-120b", "openai/gpt-oss-120b"),
            ("groq", "Groq/x", "Groq/x"),
            ("groq", "groq-x", "groq-x"),
            ("groq", "groq/", "groq/"),
            ("openai", "gpt-4o", "gpt-4o"),
            (
                "perplexity",
                "perplexity/perplexity/sonar",
                "perplexity/sonar",
            ),
            (
                "openrouter",
                "openrouter/openrouter/auto",
                "openrouter/auto",
            ),
            (
                "vertex_ai-anthropic_models",
                "vertex_ai/claude-opus-5@1",
                "claude-opus-5@1",
            ),
            ("vertex_ai", "vertex_ai/xai/grok-4.1", "xai/grok-4.1"),
            (
                "azure_text",
                "azure/gpt-35-turbo-instruct",
                "gpt-35-turbo-instruct",
            ),
            ("azure_ai", "azure/x", "azure/x"),
            ("amazon_nova", "amazon-nova/nova-pro-v1", "nova-pro-v1"),
            (
                "bedrock",
                "bedrock/invoke/anthropic.claude-v2",
                "anthropic.claude-v2",
            ),
            ("other", "other/invoke/x", "invoke/x"),
            (
                "bedrock_converse",
                "us.anthropic.claude-v2",
                "us.anthropic.claude-v2",
            ),
            ("aws_polly", "aws_polly/standard", "standard"),
            ("fal_ai", "fal_ai/max/model", "max/model"),
            ("replicate", "replicate/us/model", "us/model"),
            (
                "fireworks_ai",
                "fireworks_ai/accounts/fireworks/models/rune",
                "accounts/fireworks/models/rune",
            ),
        ] {
            assert_eq!(
                read_key(provider, key),
                Named::Model(name),
                "{provider} {key}"
            );
        }
    }

    #[test]
    fn a_region_a_size_and_a_commitment_are_prices() {
        for (provider, key, part, model) in [
            ("azure", "azure/eu/gpt-4o", "eu", "gpt-4o"),
            (
                "azure",
                "azure/global-standard/gpt-4o",
                "global-standard",
                "gpt-4o",
            ),
            ("azure", "azure/us-gov/gpt-5.1", "us-gov", "gpt-5.1"),
            (
                "azure",
                "azure/hd/1024-x-1792/dall-e-3",
                "hd/1024-x-1792",
                "dall-e-3",
            ),
            ("openai", "256-x-256/dall-e-2", "256-x-256", "dall-e-2"),
            (
                "openai",
                "low/1024-x-1024/gpt-image-1",
                "low/1024-x-1024",
                "gpt-image-1",
            ),
            (
                "fal_ai",
                "fal_ai/max/1024-x-768/openai/gpt-image-2",
                "max/1024-x-768",
                "openai/gpt-image-2",
            ),
            (
                "bedrock",
                "bedrock/us-gov-west-1/anthropic.claude-v2:1",
                "us-gov-west-1",
                "anthropic.claude-v2:1",
            ),
            (
                "bedrock",
                "bedrock/*/1-month-commitment/cohere.command",
                "*/1-month-commitment",
                "cohere.command",
            ),
            (
                "bedrock",
                "max-x-max/max-steps/stability.xl",
                "max-x-max/max-steps",
                "stability.xl",
            ),
            (
                "bedrock",
                "1024-x-1024/50-steps/bedrock/amazon.nova-canvas",
                "1024-x-1024/50-steps",
                "amazon.nova-canvas",
            ),
            (
                "vertex_ai",
                "vertex_ai/us-central1/gemini-3",
                "us-central1",
                "gemini-3",
            ),
        ] {
            assert_eq!(
                read_key(provider, key),
                Named::Price { model, part },
                "{provider} {key}"
            );
        }
        for (provider, key) in [
            ("together_ai", "together-ai-4.1b-8b"),
            ("fireworks_ai", "fireworks-ai-default"),
            (
                "fireworks_ai-embedding-models",
                "fireworks-ai-embedding-up-to-150m",
            ),
        ] {
            assert_eq!(
                read_key(provider, key),
                Named::PriceClass,
                "{provider} {key}"
            );
        }
    }
}
