//! The bounds of the catalogue: those of the API's own inputs, as its description publishes them.

use std::sync::LazyLock;

use poem_openapi::types::ToJSON;
use serde_json::Value;

use crate::{
    error::FieldErrors, middleware::JsonSchema, models::dto::ModelUpdate,
    providers::dto::ProviderUpdate, routes::input_schema,
};

static MODEL: LazyLock<JsonSchema> = LazyLock::new(|| input_schema("ModelUpdate"));
static PROVIDER: LazyLock<JsonSchema> = LazyLock::new(|| input_schema("ProviderUpdate"));

/// # Errors
/// What the API would reject.
pub(super) fn check_model(update: &ModelUpdate) -> Result<(), String> {
    check(&MODEL, update)
}

/// # Errors
/// What the API would reject.
pub(super) fn check_provider(update: &ProviderUpdate) -> Result<(), String> {
    check(&PROVIDER, update)
}

fn check(schema: &JsonSchema, update: &impl ToJSON) -> Result<(), String> {
    let mut body = update.to_json().unwrap_or_default();
    let mut errors = Vec::new();
    if let Some(fields) = body.as_object_mut() {
        // An absent field that can't be null is written as null.
        fields.retain(|_, value| !value.is_null());
        let has_nul = |value: &Value| value.as_str().is_some_and(|text| text.contains('\0'));
        let nul = fields.iter().filter(|(_, value)| has_nul(value));
        errors.extend(nul.map(|(name, _)| format!("{name} contains a NUL character")));
    }
    let mut violations = FieldErrors::default();
    schema.check(&body, &mut violations);
    errors.extend(violations.listed().iter().map(|violation| {
        let name = violation.pointer.trim_start_matches("#/");
        format!("{name} {}", violation.detail)
    }));
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.join("; "))
    }
}
