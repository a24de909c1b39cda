//! What a provider looks like on the wire.

use chrono::{DateTime, Utc};
use entity::{
    provider,
    values::{JsonObject, now},
};
use poem_openapi::{Object, types::MaybeUndefined};
use sea_orm::ActiveValue::{NotSet, Set};
use serde::Serialize;

use crate::http::Patch;

/// A provider: who serves models, and over which wire protocol.
#[derive(Debug, Object, Serialize)]
pub(crate) struct Provider {
    /// Assigned by the service.
    pub(crate) id: i64,
    /// Stable handle, unique regardless of case.
    pub(crate) name: String,
    /// Name for people.
    #[oai(nullable)]
    pub(crate) display_name: Option<String>,
    /// Wire protocol that the provider's API speaks, as `anthropic`, `openai`, `google`, `ollama`;
    /// `unknown` where nobody has said.
    pub(crate) api_type: String,
    /// Where the API is; null where it depends on the account or region.
    #[oai(nullable)]
    pub(crate) base_url: Option<String>,
    /// Whether it runs on the caller's own machines.
    pub(crate) is_local: bool,
    /// NAME of the environment variable that holds the API key. The key itself is never stored.
    #[oai(nullable)]
    pub(crate) api_key_env: Option<String>,
    /// Further settings, as the runtime understands them. No secrets.
    pub(crate) config: JsonObject,
    /// When it was created (UTC).
    pub(crate) created_at: DateTime<Utc>,
    /// When it was last changed (UTC).
    pub(crate) updated_at: DateTime<Utc>,
}

impl From<provider::Model> for Provider {
    fn from(row: provider::Model) -> Self {
        let provider::Model {
            id,
            name,
            display_name,
            api_type,
            base_url,
            is_local,
            api_key_env,
            config,
            created_at,
            updated_at,
            revision: _,
        } = row;
        Self {
            id,
            name,
            display_name,
            api_type,
            base_url,
            is_local,
            api_key_env,
            config,
            created_at,
            updated_at,
        }
    }
}

/// A provider to create.
#[derive(Clone, Debug, Object)]
pub(crate) struct ProviderCreate {
    /// Stable handle, unique regardless of case: letters, digits, `.`, `_` and `-`, beginning with
    /// a letter or digit.
    #[oai(validator(max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    name: String,
    /// Name for people.
    #[oai(nullable, validator(min_length = 1, max_length = 200))]
    display_name: Option<String>,
    /// Wire protocol that the provider's API speaks, as `anthropic`, `openai`, `google`, `ollama`.
    #[oai(validator(max_length = 64, pattern = "^[a-z0-9][a-z0-9._-]*$"))]
    api_type: String,
    /// Where the API is: an absolute URL without user name, password and fragment; https, or http
    /// where the provider is local. It is not fetched from here.
    #[oai(
        nullable,
        validator(
            max_length = 2048,
            pattern = "^https?://[!$-.0-;=A-\\[\\]-~]+([/?][!$-~]*)?$"
        )
    )]
    base_url: Option<String>,
    /// Whether it runs on the caller's own machines.
    #[oai(default)]
    is_local: bool,
    /// NAME of the environment variable that holds the API key; never the key itself: what looks
    /// like one is refused.
    #[oai(
        nullable,
        validator(max_length = 128, pattern = "^[A-Za-z_][A-Za-z0-9_]*$")
    )]
    api_key_env: Option<String>,
    /// Further settings, as the runtime understands them. What looks like a secret is refused.
    #[oai(default)]
    config: JsonObject,
}

impl From<ProviderCreate> for provider::ActiveModel {
    fn from(new: ProviderCreate) -> Self {
        let ProviderCreate {
            name,
            display_name,
            api_type,
            base_url,
            is_local,
            api_key_env,
            config,
        } = new;
        let now = now();
        Self {
            id: NotSet,
            name: Set(name),
            display_name: Set(display_name),
            api_type: Set(api_type),
            base_url: Set(base_url),
            is_local: Set(is_local),
            api_key_env: Set(api_key_env),
            config: Set(config),
            created_at: Set(now),
            updated_at: Set(now),
            revision: Set(1),
        }
    }
}

/// What to change of a provider.
#[derive(Clone, Debug, Object)]
pub(crate) struct ProviderUpdate {
    /// Stable handle, unique regardless of case.
    #[oai(validator(max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    name: Option<String>,
    /// Name for people; null clears it.
    #[oai(nullable, validator(min_length = 1, max_length = 200))]
    display_name: MaybeUndefined<String>,
    /// Wire protocol that the provider's API speaks.
    #[oai(validator(max_length = 64, pattern = "^[a-z0-9][a-z0-9._-]*$"))]
    api_type: Option<String>,
    /// Where the API is: an absolute URL without user name, password and fragment; https, or http
    /// where the provider is local. Null clears it.
    #[oai(
        nullable,
        validator(
            max_length = 2048,
            pattern = "^https?://[!$-.0-;=A-\\[\\]-~]+([/?][!$-~]*)?$"
        )
    )]
    base_url: MaybeUndefined<String>,
    /// Whether it runs on the caller's own machines.
    is_local: Option<bool>,
    /// NAME of the environment variable that holds the API key; null clears it.
    #[oai(
        nullable,
        validator(max_length = 128, pattern = "^[A-Za-z_][A-Za-z0-9_]*$")
    )]
    api_key_env: MaybeUndefined<String>,
    /// Further settings; they replace the ones before as a whole.
    config: Option<JsonObject>,
}

impl From<ProviderUpdate> for provider::ActiveModel {
    fn from(patch: ProviderUpdate) -> Self {
        let ProviderUpdate {
            name,
            display_name,
            api_type,
            base_url,
            is_local,
            api_key_env,
            config,
        } = patch;
        let mut row = <Self as sea_orm::ActiveModelTrait>::default();
        name.apply_to(&mut row.name);
        display_name.apply_to(&mut row.display_name);
        api_type.apply_to(&mut row.api_type);
        base_url.apply_to(&mut row.base_url);
        is_local.apply_to(&mut row.is_local);
        api_key_env.apply_to(&mut row.api_key_env);
        config.apply_to(&mut row.config);
        row
    }
}
