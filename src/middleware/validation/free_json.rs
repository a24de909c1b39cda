//! Free JSON passes to the handlers as text: `serde_json::Value`, which they parse a body to, changes
//! numbers (`1e17`, `-0`, integers beyond 64 bits).

use std::collections::BTreeMap;

use serde_json::{Error, value::RawValue};

use super::schema::{JsonSchema, SchemaType};
use crate::http::RequestError;

impl JsonSchema {
    /// A valid body, in which every free object is a string with the object's text.
    pub(crate) fn quote_free(&self, body: Vec<u8>) -> poem::Result<Vec<u8>> {
        if !self.holds_free() {
            return Ok(body);
        }
        let mut quoted = Vec::with_capacity(body.len() + body.len() / 8);
        serde_json::from_slice(&body)
            .and_then(|body| self.write_quoted(body, &mut quoted))
            .map_err(|error| RequestError::MalformedJson(error.to_string()))?;
        Ok(quoted)
    }

    /// Whether a value may hold free objects.
    fn holds_free(&self) -> bool {
        match &self.schema_type {
            SchemaType::Object(fields) => {
                fields.is_free() || fields.properties.values().any(Self::holds_free)
            }
            SchemaType::Array(bounds) => bounds.item.holds_free(),
            _ => false,
        }
    }

    fn write_quoted(&self, value: &RawValue, output: &mut Vec<u8>) -> Result<(), Error> {
        let text = value.get();
        match &self.schema_type {
            _ if text == "null" || !self.holds_free() => output.extend(text.as_bytes()),
            SchemaType::Object(fields) if fields.is_free() => serde_json::to_writer(output, text)?,
            SchemaType::Object(fields) => {
                let members: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
                let mut separator = b'{';
                for (name, value) in members {
                    output.push(separator);
                    serde_json::to_writer(&mut *output, &name)?;
                    output.push(b':');
                    match fields.properties.get(&name) {
                        Some(property) => property.write_quoted(value, output)?,
                        None => output.extend(value.get().as_bytes()),
                    }
                    separator = b',';
                }
                output.extend(if separator == b'{' { &b"{}"[..] } else { b"}" });
            }
            SchemaType::Array(bounds) => {
                let items: Vec<&RawValue> = serde_json::from_str(text)?;
                output.push(b'[');
                for (index, item) in items.into_iter().enumerate() {
                    output.extend((index > 0).then_some(b','));
                    bounds.item.write_quoted(item, output)?;
                }
                output.push(b']');
            }
            _ => output.extend(text.as_bytes()),
        }
        Ok(())
    }
}
