//! Writes the client from the committed description.

use std::{env, error::Error, fs, iter, path::Path};

use progenitor_impl::{GenerationSettings, Generator, InterfaceStyle};
use serde_json::Value;

const DESCRIPTION: &str = "../../../openapi.json";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={DESCRIPTION}");
    // progenitor decodes `application/json` and hands any other media type over as bytes.
    let text =
        fs::read_to_string(DESCRIPTION)?.replace("application/problem+json", "application/json");
    let mut description: Value = serde_json::from_str(&text)?;
    drop_untyped_responses(&mut description);

    let mut settings = GenerationSettings::default();
    settings.with_interface(InterfaceStyle::Builder);
    // It writes a field that may be absent or null as one `Option`, and never sends a null. So a
    // patch is JSON as it is.
    let schemas = description["components"]["schemas"]
        .as_object()
        .into_iter()
        .flatten();
    for (name, _) in schemas.filter(|(name, _)| name.ends_with("Update")) {
        settings.with_replacement(name, "::serde_json::Value", iter::empty());
    }

    let client = Generator::new(&settings).generate_tokens(&serde_json::from_value(description.clone())?)?;
    let code = prettyplease::unparse(&syn::parse2(client)?);
    fs::write(Path::new(&env::var("OUT_DIR")?).join("client.rs"), code)?;
    Ok(())
}

/// progenitor panics where an operation has a response without a body beside one with, or a `default`
/// one beside others. It gives such statuses as `Error::UnexpectedResponse`.
fn drop_untyped_responses(description: &mut Value) {
    let items = description["paths"].as_object_mut().into_iter().flatten();
    let operations = items.flat_map(|(_, item)| item.as_object_mut().into_iter().flatten());
    for (_, operation) in operations {
        if let Some(responses) = operation["responses"].as_object_mut() {
            responses.retain(|status, _| status != "304" && status != "default");
        }
    }
}
