//! Documents in files: what they say, checked as a request is, and where what is wrong stands.

use std::{
    fmt::Write,
    io,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use poem_openapi::types::ParseFromJSON;
use regex::{Captures, Regex};
use serde_json::Value;

use super::source::{self, SourceError};
use crate::{
    documents::{DocumentSet, Node, NodeMap, NodeValue},
    error::{Error, FieldError, FieldErrors},
    middleware::JsonSchema,
    openapi,
};

/// The largest file of documents, in bytes: as large as the largest price list.
const MAX_FILE: u64 = 64 << 20;

/// Why files are not documents.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilesError {
    #[error("{} can't be read: {cause}", path.display())]
    File { path: PathBuf, cause: io::Error },
    #[error("{}:{}: {cause}", path.display(), cause.line)]
    Source { path: PathBuf, cause: SourceError },
    #[error("there is no document in the files")]
    Empty,
    /// What is wrong, a line each.
    #[error("{0}")]
    Invalid(String),
}

/// One document and the file that it is in.
#[derive(Debug)]
struct DocumentSource {
    path: PathBuf,
    document: Node,
}

/// The documents of some files, in order.
#[derive(Debug)]
pub(crate) struct DocumentFiles(Vec<DocumentSource>);

/// What the files say.
#[derive(Debug)]
pub(crate) struct CheckedFiles {
    pub(crate) set: DocumentSet,
    /// Where secrets may be.
    pub(crate) suspected: Vec<String>,
}

static SCHEMA: LazyLock<JsonSchema> = LazyLock::new(|| {
    let description = openapi::describe::<DocumentSet>();
    let schema = &description["components"]["schemas"]["DocumentSet"];
    JsonSchema::compile(schema, &description)
});

impl DocumentFiles {
    /// # Errors
    /// A file that can't be read, or is not YAML.
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Self, FilesError> {
        let mut sources = Vec::new();
        for path in paths {
            let documents = read_file(path)?.into_iter();
            sources.extend(documents.map(|document| DocumentSource {
                path: path.clone(),
                document,
            }));
        }
        if sources.is_empty() {
            return Err(FilesError::Empty);
        }
        Ok(Self(sources))
    }

    /// Checks the documents against the bounds of the API.
    ///
    /// # Errors
    /// All that is wrong.
    pub(crate) fn check(&self) -> Result<CheckedFiles, FilesError> {
        let invalid = |error: &dyn std::fmt::Display| FilesError::Invalid(error.to_string());
        let mut text = self.request_body().map_err(|error| invalid(&error))?;
        let body: Value = serde_json::from_slice(&text).map_err(|error| invalid(&error))?;
        let mut errors = FieldErrors::default();
        let suspected = SCHEMA.check_body(&mut text, body, &mut errors);
        if !errors.is_empty() {
            return Err(self.located(&errors));
        }
        let text = SCHEMA.quote_free(text).map_err(|error| invalid(&error))?;
        let set = serde_json::from_slice(&text).map_err(|error| invalid(&error))?;
        let set = DocumentSet::parse_from_json(Some(set));
        Ok(CheckedFiles {
            set: set.map_err(|error| invalid(&error.into_message()))?,
            suspected: suspected.iter().map(|place| self.place(place)).collect(),
        })
    }

    /// The documents as the API takes them.
    ///
    /// # Errors
    /// A number that is not one.
    pub(crate) fn request_body(&self) -> Result<Vec<u8>, serde_json::Error> {
        let documents: Vec<Node> = self.0.iter().map(|it| it.document.clone()).collect();
        let body = NodeMap::from([("documents".to_owned(), documents.into())]);
        serde_json::to_vec(&Node::from(body))
    }

    /// An error with the files, lines and paths of what it names.
    pub(crate) fn locate(&self, error: Error) -> Box<dyn std::error::Error + Send + Sync> {
        match error {
            Error::Invalid(errors) => self.located(&errors).into(),
            other => other.into(),
        }
    }

    fn located(&self, errors: &FieldErrors) -> FilesError {
        let mut text = String::new();
        for FieldError { pointer, detail } in errors.listed() {
            let separator = if text.is_empty() { "" } else { "\n" };
            // Writing to a string does not fail.
            let _ = write!(
                text,
                "{separator}{} {}",
                self.place(pointer),
                self.places_in(detail)
            );
        }
        if errors.omitted() > 0 {
            let _ = write!(text, "\nand {} more", errors.omitted());
        }
        FilesError::Invalid(text)
    }

    /// A text with places in place of its pointers.
    fn places_in(&self, text: &str) -> String {
        static POINTER: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"#/documents/[0-9]+/[^ ]+").expect("a regular expression")
        });
        let place = |pointer: &Captures<'_>| self.place(&pointer[0]);
        POINTER
            .replace_all(text, place)
            .trim_end_matches(':')
            .to_owned()
    }

    /// File, line and path of a JSON pointer into the set, with a colon.
    fn place(&self, pointer: &str) -> String {
        let mut keys = pointer.trim_start_matches("#/").split('/').skip(1);
        let index = keys.next().and_then(|index| index.parse::<usize>().ok());
        let Some(DocumentSource { path, document }) = index.and_then(|index| self.0.get(index))
        else {
            return format!("{pointer}:");
        };
        let (mut node, mut line, mut at) = (Some(document), document.line, String::new());
        for key in keys {
            let key = key.replace("~1", "/").replace("~0", "~");
            node = node.and_then(|node| child(node, &key));
            line = node.map_or(line, |node| node.line);
            let _ = match (at.is_empty(), key.parse::<usize>()) {
                (_, Ok(index)) => write!(at, "[{index}]"),
                (true, _) => write!(at, "{key}"),
                (false, _) => write!(at, ".{key}"),
            };
        }
        let joint = if at.is_empty() { "" } else { " " };
        format!("{}:{line}:{joint}{at}:", path.display())
    }
}

fn read_file(path: &Path) -> Result<Vec<Node>, FilesError> {
    let text = migration::bounds::read_to_string(path, MAX_FILE);
    let text = text.map_err(|cause| FilesError::File {
        path: path.to_owned(),
        cause,
    })?;
    source::parse(text.trim_start_matches('\u{feff}')).map_err(|cause| FilesError::Source {
        path: path.to_owned(),
        cause,
    })
}

fn child<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    match &node.value {
        NodeValue::Map(members) => members.get(key),
        NodeValue::List(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}
