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

/// What the API would reject: the field, and why.
pub(super) fn check_model(update: &ModelUpdate) -> Vec<(String, String)> {
    check(&MODEL, update)
}

/// # Errors
/// What the API would reject.
pub(super) fn check_provider(update: &ProviderUpdate) -> Result<(), String> {
    let violations = check(&PROVIDER, update).into_iter();
    let errors: Vec<String> = violations
        .map(|(field, detail)| format!("{field} {detail}"))
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.join("; "))
    }
}

fn check(schema: &JsonSchema, update: &impl ToJSON) -> Vec<(String, String)> {
    let mut body = update.to_json().unwrap_or_default();
    let mut errors = Vec::new();
    if let Some(fields) = body.as_object_mut() {
        // An absent field that can't be null is written as null.
        fields.retain(|_, value| !value.is_null());
        let has_nul = |value: &Value| value.as_str().is_some_and(|text| text.contains('\0'));
        let nul = fields.iter().filter(|(_, value)| has_nul(value));
        errors.extend(nul.map(|(name, _)| (name.clone(), "contains a NUL character".to_owned())));
    }
    let mut violations = FieldErrors::default();
    schema.check(&body, &mut violations);
    errors.extend(violations.listed().iter().map(|violation| {
        let field = violation.pointer.trim_start_matches("#/");
        (field.to_owned(), violation.detail.clone())
    }));
    errors
}
