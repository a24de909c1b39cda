//! What a provider looks like on the wire.

use entity::{provider, values::JsonObject};
use poem_openapi::Object;
use sea_orm::ActiveValue::NotSet;
use serde::Serialize;

use crate::{
    http::input,
    rows::{Json, Text, Timestamp, row},
};

row! {
    /// A provider of models, and the wire protocol of its API.
    #[derive(Debug, Object, Serialize)]
    #[oai(rename = "Provider")]
    pub(crate) struct ProviderRow<'r> of provider without revision, catalog_name {
        /// Assigned by the service.
        pub(crate) id: i64,
        /// Stable handle, unique regardless of case.
        pub(crate) name: Text<'r>,
        /// Display name.
        #[oai(nullable)]
        pub(crate) display_name: Option<Text<'r>>,
        /// Wire protocol that the provider's API speaks, as `anthropic`, `openai`, `google`, `ollama`;
        /// `unknown` if it is not known.
        pub(crate) api_type: Text<'r>,
        /// Address of the API; null if it depends on the account or region.
        #[oai(nullable)]
        pub(crate) base_url: Option<Text<'r>>,
        /// Whether the provider runs on the caller's own machines.
        pub(crate) is_local: bool,
        /// NAME of the environment variable that holds the API key. The key itself is never stored.
        #[oai(nullable)]
        pub(crate) api_key_env: Option<Text<'r>>,
        /// Further settings, interpreted by the runtime.
        pub(crate) config: Json<'r, JsonObject>,
        /// When it was created (UTC).
        pub(crate) created_at: Timestamp<'r>,
        /// When it was last changed (UTC).
        pub(crate) updated_at: Timestamp<'r>,
    }
}

/// A row that owns its values.
pub(crate) type Provider = ProviderRow<'static>;

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
        /// Further settings, interpreted by the runtime. An update replaces the whole object. Secrets of
        /// known forms are rejected.
        config: JsonObject,
    }
    row {
        id: NotSet,
        catalog_name: NotSet,
        created_at: NotSet,
        updated_at: NotSet,
        revision: NotSet,
    }
}
