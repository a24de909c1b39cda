//! What operations have in common is written once, as a component that they refer to.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{
    operation::{self, Operation},
    parameters, responses,
};

/// The parts of an operation that may be shared, each with the name of the component.
type Parts = for<'o> fn(&'o mut Operation<'_>) -> Vec<(String, &'o mut Value)>;

/// Moves the parameters and responses that more than one operation has to the components.
pub(super) fn share(description: &mut Value) {
    share_kind(description, "parameters", |operation| {
        let path = operation.path;
        let parameters = operation.parameters_mut();
        parameters
            .into_iter()
            .flatten()
            .filter_map(|parameter| Some((parameters::shared_name(path, parameter)?, parameter)))
            .collect()
    });
    share_kind(description, "responses", |operation| {
        let responses = operation.value["responses"].as_object_mut();
        let inline = responses.into_iter().flatten();
        inline
            .filter(|(_, response)| response.get("$ref").is_none())
            .filter_map(|(status, response)| {
                Some((responses::shared_name(status, response)?, response))
            })
            .collect()
    });
}

fn share_kind(description: &mut Value, kind: &str, parts: Parts) {
    let mut uses: HashMap<String, (String, usize)> = HashMap::new();
    operation::each(description, |operation| {
        for (name, part) in parts(operation) {
            uses.entry(part.to_string()).or_insert((name, 0)).1 += 1;
        }
    });
    // Where two parts have one name, the one that is used most has it, and the other is not shared.
    let mut shared: HashMap<String, (String, usize)> = HashMap::new();
    for (part, (name, count)) in uses.into_iter().filter(|(_, (_, count))| *count > 1) {
        let best = shared.entry(name).or_insert_with(|| (part.clone(), count));
        if (count, &part) > (best.1, &best.0) {
            *best = (part, count);
        }
    }
    let mut components = Vec::new();
    operation::each(description, |operation| {
        for (_, part) in parts(operation) {
            let text = part.to_string();
            if let Some((name, _)) = shared.iter().find(|(_, (shared, _))| *shared == text) {
                let reference = json!({"$ref": format!("#/components/{kind}/{name}")});
                components.push((name.clone(), std::mem::replace(part, reference)));
            }
        }
    });
    for (name, component) in components {
        description["components"][kind][name] = component;
    }
}
