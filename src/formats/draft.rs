//! The document so far, and what the report says of it.

mod team;

use std::collections::HashSet;

use indexmap::IndexMap;

pub(super) use self::team::DraftTeam;
use super::{
    detect::SourceFormat,
    fields::{text_at, text_of},
    models::{AskedModel, FoundModel, ModelNames},
    report::{ChoiceKind, ImportReport},
    sources::Origins,
    values::{handle, variable_name},
};
use crate::{
    catalog::{KnownProvider, known_provider},
    yaml::{Node, NodeMap, NodeValue},
};

/// The document that files become.
#[derive(Debug)]
pub(super) struct Draft<'c> {
    pub(super) format: SourceFormat,
    pub(super) models: ModelNames<'c>,
    pub(super) origins: Origins,
    pub(super) report: ImportReport,
    /// The name that the user gives to the circle.
    pub(super) circle: Option<String>,
    providers: IndexMap<String, NodeMap>,
    model_entries: IndexMap<String, NodeMap>,
    servers: IndexMap<String, NodeMap>,
    agents: Vec<NodeMap>,
    circles: Vec<NodeMap>,
    /// Where parts of files are that some agent has.
    placed: HashSet<usize>,
}

impl<'c> Draft<'c> {
    pub(super) fn new(
        format: SourceFormat,
        models: ModelNames<'c>,
        origins: Origins,
        circle: Option<String>,
    ) -> Self {
        Self {
            format,
            models,
            origins,
            report: ImportReport {
                format: format.to_string(),
                ..ImportReport::default()
            },
            circle,
            providers: IndexMap::new(),
            model_entries: IndexMap::new(),
            servers: IndexMap::new(),
            agents: Vec::new(),
            circles: Vec::new(),
            placed: HashSet::new(),
        }
    }

    /// Some agent has what is there.
    pub(super) fn place(&mut self, origin: usize) {
        self.placed.insert(origin);
    }

    pub(super) fn is_placed(&self, origin: usize) -> bool {
        self.placed.contains(&origin)
    }

    /// The document does not have what is there.
    pub(super) fn not_kept(&mut self, origin: usize, why: impl Into<String>) {
        let remark = self.origins.remark(origin, why);
        ImportReport::add_to(&mut self.report.not_kept, remark);
    }

    /// The document has what is there in another form.
    pub(super) fn changed(&mut self, origin: usize, how: impl Into<String>) {
        let remark = self.origins.remark(origin, how);
        ImportReport::add_to(&mut self.report.changed, remark);
    }

    /// Each of these has no place, for one reason.
    pub(super) fn none_kept(&mut self, members: &NodeMap, why: &str) {
        for member in members.values() {
            self.not_kept(member.line, why);
        }
    }

    /// The model that a name stands for, as documents refer to it. `facts` are what the file says of the model.
    pub(super) fn model(
        &mut self,
        asked: &AskedModel,
        facts: NodeMap,
        origin: usize,
    ) -> Option<Node> {
        let reference = match self.models.find(asked) {
            FoundModel::Existing(reference) => {
                if !self.keep_owned(&reference, &facts) {
                    let why = format!(
                        "{reference} is not described here: what the registry has of it stays"
                    );
                    self.none_kept(&facts, &why);
                }
                reference
            }
            FoundModel::New { provider, name } => {
                self.describe_provider(&provider, origin);
                self.describe_model(&provider, &name, facts, origin)
            }
            FoundModel::Nothing => {
                let why = format!("the agent has no model: {} is not known", asked.written);
                self.not_kept(origin, why);
                self.none_kept(&facts, "there is no model that it belongs to");
                return None;
            }
        };
        Some(text_at(reference, origin))
    }

    /// A model of a provider that the file describes. The file has the last word on both.
    pub(super) fn own_model(
        &mut self,
        provider: &str,
        name: &str,
        facts: NodeMap,
        origin: usize,
    ) -> Node {
        let reference = self.describe_model(provider, name, facts, origin);
        let asked = AskedModel::of(Some(provider), name);
        let detail = "the file describes its provider";
        self.models.choose(
            &asked.written,
            Some(&reference),
            ChoiceKind::Described,
            detail,
        );
        text_at(reference, origin)
    }

    fn describe_model(
        &mut self,
        provider: &str,
        name: &str,
        facts: NodeMap,
        origin: usize,
    ) -> String {
        let reference = format!("{provider}/{name}");
        let entry = self.model_entries.entry(reference.clone());
        let entry = entry.or_insert_with(|| {
            NodeMap::from([
                ("provider".to_owned(), text_at(provider, origin)),
                ("model_name".to_owned(), text_at(name, origin)),
            ])
        });
        entry.extend(facts);
        reference
    }

    /// A provider that the registry lacks, with what is well known of it.
    fn describe_provider(&mut self, name: &str, origin: usize) {
        let catalogue = self.models.catalogue;
        let exists =
            catalogue.is_some_and(|it| it.providers.contains_key(&name.to_ascii_lowercase()));
        if self.providers.contains_key(name) {
            return;
        }
        if exists {
            if let Some(entry) = catalogue.and_then(|it| it.owned_provider(name)) {
                self.providers.insert(name.to_owned(), entry.clone());
            }
            return;
        }
        let known = known_provider(name);
        let text = |text: &str| text_at(text, origin);
        let mut entry = NodeMap::from([
            ("name".to_owned(), text(name)),
            (
                "api_type".to_owned(),
                text(known.map_or("unknown", |it| it.api_type)),
            ),
        ]);
        if let Some(KnownProvider {
            display_name,
            base_url,
            api_key_env,
            is_local,
            ..
        }) = known
        {
            entry.insert("display_name".to_owned(), text(display_name));
            for (field, value) in [("base_url", base_url), ("api_key_env", api_key_env)] {
                entry.extend(value.map(|it| (field.to_owned(), text(it))));
            }
            if *is_local {
                entry.insert("is_local".to_owned(), NodeValue::Bool(true).into());
            }
        } else {
            let variable = variable_name(&[name, "API_KEY"]);
            entry.insert("api_key_env".to_owned(), text(&variable));
            let detail = format!(
                "nothing is known of the provider {name}: set its api_type and base_url, and {variable} where the runtime runs"
            );
            self.changed(origin, detail);
        }
        self.providers.insert(name.to_owned(), entry);
    }

    /// What the documents' owner has stays in its documents: otherwise `--prune` would delete it. Whether the owner has it.
    fn keep_owned(&mut self, reference: &str, facts: &NodeMap) -> bool {
        let Some(catalogue) = self.models.catalogue else {
            return false;
        };
        let Some(owned) = catalogue.owned_model(reference) else {
            return false;
        };
        let provider = owned.get("provider").and_then(text_of).unwrap_or_default();
        if let Some(provider_entry) = catalogue.owned_provider(provider) {
            self.providers
                .entry(provider.to_owned())
                .or_insert_with(|| provider_entry.clone());
        }
        let entry = self.model_entries.entry(reference.to_owned());
        let entry = entry.or_insert_with(|| owned.clone());
        entry.extend(facts.clone());
        true
    }

    /// A provider that the file describes. Another one with the same name and other fields gets a number.
    pub(super) fn own_provider(&mut self, name: &str, mut entry: NodeMap, origin: usize) -> String {
        let base = handle(name);
        let mut unique = base.clone();
        let mut number = 1;
        loop {
            entry.shift_insert(0, "name".to_owned(), text_at(unique.as_str(), origin));
            match self.providers.get(&unique) {
                Some(other) if *other != entry => {
                    number += 1;
                    unique = format!("{}-{number}", &base[..base.len().min(60)]);
                }
                _ => break,
            }
        }
        if base != name && unique == base {
            self.changed(origin, format!("the provider is called {unique}"));
        }
        self.providers.insert(unique.clone(), entry);
        unique
    }

    /// An MCP server that the file describes. The same one is there once, and another one with its name gets a number.
    pub(super) fn server(
        &mut self,
        name: Option<&str>,
        fallback: &str,
        entry: NodeMap,
        origin: usize,
    ) -> String {
        let is_same = |other: &NodeMap| {
            let mut other = other.clone();
            other.shift_remove("name");
            other.shift_remove("display_name");
            other == entry
        };
        if name.is_none()
            && let Some((known, _)) = self.servers.iter().find(|(_, other)| is_same(other))
        {
            return known.clone();
        }
        let base = handle(name.unwrap_or(fallback));
        let mut unique = base.clone();
        let mut number = 1;
        while let Some(other) = self.servers.get(&unique) {
            if is_same(other) {
                return unique;
            }
            number += 1;
            unique = format!("{}-{number}", &base[..base.len().min(60)]);
        }
        let mut named = NodeMap::from([("name".to_owned(), text_at(unique.as_str(), origin))]);
        if let Some(name) = name.filter(|name| *name != unique) {
            let display_name: String = name.trim().chars().take(200).collect();
            named.insert("display_name".to_owned(), text_at(display_name, origin));
            self.changed(origin, format!("the MCP server is called {unique}"));
        }
        named.extend(entry);
        self.servers.insert(unique.clone(), named);
        unique
    }

    /// Whether an MCP server is there to refer to, as far as is known.
    pub(super) fn has_server(&self, name: &str) -> bool {
        let catalogue = self.models.catalogue;
        self.servers.contains_key(name) || catalogue.is_none_or(|it| it.servers.contains(name))
    }

    pub(super) fn has_agents(&self) -> bool {
        !self.agents.is_empty()
    }

    pub(super) fn circle_names(&self) -> impl Iterator<Item = &str> {
        let names = self.circles.iter().filter_map(|it| it.get("name"));
        names.filter_map(text_of)
    }

    /// The document of what was added.
    pub(super) fn document(&mut self, owner: Option<&str>) -> Node {
        let mut document = NodeMap::from([
            ("kind".to_owned(), "CircleRegistry".into()),
            (
                "version".to_owned(),
                NodeValue::Number("1".to_owned()).into(),
            ),
        ]);
        document.extend(owner.map(|owner| ("owner".to_owned(), owner.into())));
        let tables = [
            (
                "providers",
                std::mem::take(&mut self.providers).into_values().collect(),
            ),
            (
                "models",
                std::mem::take(&mut self.model_entries)
                    .into_values()
                    .collect(),
            ),
            (
                "mcp_servers",
                std::mem::take(&mut self.servers).into_values().collect(),
            ),
            ("agents", std::mem::take(&mut self.agents)),
            ("circles", std::mem::take(&mut self.circles)),
        ];
        for (name, entries) in tables {
            let entries: Vec<NodeMap> = entries;
            if !entries.is_empty() {
                let entries: Vec<Node> = entries.into_iter().map(Node::from).collect();
                document.insert(name.to_owned(), entries.into());
            }
        }
        document.into()
    }
}
