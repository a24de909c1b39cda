//! What a provider looks like on the wire.

use chrono::{DateTime, Utc};
use entity::{provider, values::JsonObject};
use poem_openapi::Object;
use sea_orm::ActiveValue::NotSet;
use serde::Serialize;

use crate::http::input;

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

input! {
    provider;
    /// A provider to create.
    create ProviderCreate;
    /// Changes to a provider.
    #[derive(Default)]
    update ProviderUpdate;
    required {
        /// Stable handle, unique regardless of case: letters, digits, `.`, `_` and `-`, starting with a letter
        /// or digit.
        #[oai(validator(max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
        name: String,
        /// Wire protocol of the provider's API, as `anthropic`, `openai`, `google` or `ollama`.
        #[oai(validator(max_length = 64, pattern = "^[a-z0-9][a-z0-9._-]*$"))]
        api_type: String,
    }
    nullable {
        /// Display name.
        #[oai(validator(min_length = 1, max_length = 200))]
        display_name: String,
        /// Address of the API: an absolute URL without user name, password or fragment. It must use https,
        /// unless the provider is local. This service never requests it.
        #[oai(validator(
            max_length = 2048,
            pattern = "^https?://[!$-.0-;=A-\\[\\]-~]+([/?][!$-~]*)?$"
        ))]
        base_url: String,
        /// NAME of the environment variable that holds the API key. A value that looks like a key is
        /// rejected.
        #[oai(validator(max_length = 128, pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
        api_key_env: String,
    }
    defaulted {
        /// Whether the provider runs on the caller's own machines.
        is_local: bool,
        /// Further settings, interpreted by the runtime. An update replaces the whole object. Values that
        /// look like secrets are rejected.
        config: JsonObject,
    }
    row {
        id: NotSet,
        created_at: NotSet,
        updated_at: NotSet,
        revision: NotSet,
    }
}
