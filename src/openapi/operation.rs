//! What an operation of the description is, and what it needs of its caller.

use serde_json::{Value, json};

use crate::middleware::{Access, access_to};

/// An operation of the description.
pub(super) struct Operation<'a> {
    pub(super) id: String,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// Whether it needs a scope.
    pub(super) scoped: bool,
    pub(super) value: &'a mut Value,
}

impl Operation<'_> {
    /// Whether it has this parameter.
    pub(super) fn takes(&self, name: &str) -> bool {
        let mut parameters = self.value["parameters"].as_array().into_iter().flatten();
        parameters.any(|parameter| parameter["name"] == name)
    }

    pub(super) fn parameters_mut(&mut self) -> Option<&mut Vec<Value>> {
        self.value.get_mut("parameters")?.as_array_mut()
    }

    /// Adds a parameter, after those it has.
    pub(super) fn add_parameter(&mut self, parameter: Value) {
        match self.parameters_mut() {
            Some(parameters) => parameters.push(parameter),
            None => self.value["parameters"] = json!([parameter]),
        }
    }

    /// Says what it needs of its caller.
    pub(super) fn require_scope(&mut self) {
        let access = access_to(&self.id);
        if matches!(access, None | Some(Access::Public)) {
            // Said outright: an operation without a word about it may have been forgotten.
            self.value["security"] = json!([]);
            return;
        }
        let text = self.value["description"].as_str().unwrap_or_default();
        match access.and_then(Access::scope) {
            None => {
                self.value["description"] = format!("{text}\n\nNeeds a key of any scope.").into();
            }
            Some(scope) => {
                self.value["description"] = format!("{text}\n\nNeeds the scope `{scope}`.").into();
                self.value["x-required-scope"] = scope.name().into();
            }
        }
        self.value["security"] = json!([{"bearer": []}]);
        self.scoped = true;
    }
}

/// Visits every operation, in the order of the paths.
pub(super) fn each(description: &mut Value, mut visit: impl FnMut(&mut Operation<'_>)) {
    let paths = description["paths"].as_object_mut().into_iter().flatten();
    for (path, item) in paths {
        for (method, value) in item.as_object_mut().into_iter().flatten() {
            visit(&mut Operation {
                id: value["operationId"].as_str().unwrap_or_default().to_owned(),
                method,
                path,
                scoped: value["security"][0].is_object(),
                value,
            });
        }
    }
}
