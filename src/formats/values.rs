//! Values as documents take them: names within their bounds, references to variables, and numbers.

use std::sync::LazyLock;

use regex::Regex;

use crate::yaml::{Node, NodeValue};

/// What a text has where a secret, or the name of a variable, belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    /// It names an environment variable.
    Named(String),
    /// It is the value itself.
    Literal,
}

/// The variable that a text refers to as a whole, in the ways of the formats: `${env.X}`, `${X}`, `$X`, `${X:-default}`,
/// `{{ env.X }}`, `=Env.X`, `os.environ/X` and `ENV:X`.
pub(super) fn variable(text: &str) -> Variable {
    static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
        let name = "([A-Za-z_][A-Za-z0-9_]*)";
        let forms = [
            format!(r"\$\{{\s*(?:env[.:])?{name}(?::?-[^}}]*)?\s*\}}"),
            format!(r"\$(?:env:)?{name}"),
            format!(r"\{{\{{\s*(?:env\.)?{name}\s*\}}\}}"),
            format!(r"=?Env\.{name}"),
            format!("os.environ/{name}"),
            format!("(?:ENV|env):{name}"),
        ];
        Regex::new(&format!("^(?:{})$", forms.join("|"))).expect("a regular expression")
    });
    match REFERENCE.captures(text.trim()) {
        Some(found) => {
            let name = found.iter().skip(1).flatten().next();
            Variable::Named(name.map_or_else(String::new, |name| name.as_str().to_owned()))
        }
        None => Variable::Literal,
    }
}

/// A header or variable with at most a scheme before its reference: the scheme, and the variable.
pub(super) fn schemed_variable(text: &str) -> Option<(&str, String)> {
    let text = text.trim();
    if let Variable::Named(name) = variable(text) {
        return Some(("", name));
    }
    let (scheme, rest) = text.split_once(' ')?;
    let is_scheme = !scheme.is_empty()
        && scheme
            .chars()
            .all(|it| it.is_ascii_alphabetic() || it == '-');
    match variable(rest) {
        Variable::Named(name) if is_scheme => Some((scheme, name)),
        _ => None,
    }
}

/// A name for an environment variable.
pub(super) fn variable_name(parts: &[&str]) -> String {
    let joined = parts.join("_").to_ascii_uppercase();
    let mut name: String = joined
        .chars()
        .map(|it| if it.is_ascii_alphanumeric() { it } else { '_' })
        .collect();
    if !name.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_') {
        name.insert(0, '_');
    }
    name.truncate(128);
    name
}

/// A name of a circle, a provider or a server: characters that it can't have become `-`.
pub(super) fn handle(text: &str) -> String {
    let mut name: String = text
        .trim()
        .chars()
        .map(|it| {
            if it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-') {
                it
            } else {
                '-'
            }
        })
        .collect();
    while name.starts_with(|it: char| !it.is_ascii_alphanumeric()) {
        name.remove(0);
    }
    name.truncate(64);
    if name.is_empty() {
        name.push('x');
    }
    name
}

/// A name of a tool.
pub(super) fn tool_name(text: &str) -> String {
    let mut name: String = text
        .trim()
        .chars()
        .map(|it| {
            if it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-' | ':') {
                it
            } else {
                '-'
            }
        })
        .collect();
    if !name.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_') {
        name.insert(0, '_');
    }
    name.truncate(128);
    name
}

/// Whether a text can be the address of a provider or a server.
pub(super) fn is_address(text: &str) -> bool {
    static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^https?://[!$-.0-;=A-\[\]-~]+([/?][!$-~]*)?$").expect("a regular expression")
    });
    text.len() <= 2048 && ADDRESS.is_match(text)
}

/// Whether an address is on the machine itself.
pub(super) fn is_local_address(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or_default();
    let host = host.split(['/', '?']).next().unwrap_or_default();
    ["localhost", "127.", "[::1]", "host.docker.internal"]
        .iter()
        .any(|local| host.starts_with(local))
}

/// A price as a document has it: a text of plain digits, if the number can be one.
pub(super) fn price(node: &Node) -> Option<String> {
    static PRICE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^[0-9]{1,8}(\.[0-9]{1,10})?$").expect("a regular expression")
    });
    let (NodeValue::Number(text) | NodeValue::Text(text)) = &node.value else {
        return None;
    };
    PRICE.is_match(text).then(|| text.clone())
}

/// Whether a number is an integer within bounds.
pub(super) fn is_integer(node: &Node, least: i64, most: i64) -> bool {
    let NodeValue::Number(digits) = &node.value else {
        return false;
    };
    let parsed = digits.parse::<i64>();
    parsed.is_ok_and(|number| (least..=most).contains(&number))
}

/// Whether a number is within bounds.
pub(super) fn is_number(node: &Node, least: f64, most: f64) -> bool {
    let NodeValue::Number(digits) = &node.value else {
        return false;
    };
    let parsed = digits.parse::<f64>();
    parsed.is_ok_and(|number| (least..=most).contains(&number))
}
