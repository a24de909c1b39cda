//! Reading files and folders: each document in them as a tree whose nodes know their origin.

use std::{
    borrow::Cow,
    fs, io,
    path::{Path, PathBuf},
};

use super::{front_matter, report::ImportRemark};
use crate::yaml::{self, Node, NodeMap, NodeValue};

/// The largest file, in bytes: as large as the largest file of documents.
const MAX_FILE: u64 = 64 << 20;
/// The most files that a folder may have, and how deep they may be.
const MAX_FILES: usize = 10_000;
const MAX_DEPTH: usize = 16;

/// Why a file can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceFileError {
    #[error("{} can't be read: {cause}", path.display())]
    File { path: PathBuf, cause: io::Error },
    #[error("{}:{line}: {detail}", path.display())]
    Text {
        path: PathBuf,
        line: usize,
        detail: String,
    },
    #[error("{} has more than {MAX_FILES} files", .0.display())]
    TooMany(PathBuf),
    #[error("{} has no file that may describe agents (.md, .yaml, .yml, .json, .jsonc, .af)", .0.display())]
    Empty(PathBuf),
}

/// A file, or one of several documents in it.
#[derive(Clone, Debug)]
pub(super) struct SourceFile {
    pub(super) path: PathBuf,
    /// Whether it was found in a folder that was given.
    pub(super) is_found: bool,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    /// YAML or JSON.
    Tree(Node),
    /// Markdown: the front matter, if there is any, and the text after it.
    Markdown {
        front: Option<Node>,
        /// Whether the front matter is not YAML, and was read line by line.
        is_lenient: bool,
        body: Node,
    },
}

/// Where the nodes of all files are: the line of a node is a number that stands for its origin.
#[derive(Debug, Default)]
pub(super) struct Origins(Vec<ImportRemark>);

impl Origins {
    /// Where a node is, with something to say about it. A node that no file has is at the first one.
    pub(super) fn remark(&self, origin: usize, detail: impl Into<String>) -> ImportRemark {
        let index = origin.saturating_sub(1);
        let place = self.0.get(index).cloned().unwrap_or_else(|| ImportRemark {
            file: String::new(),
            line: None,
            path: String::new(),
            detail: String::new(),
        });
        ImportRemark {
            detail: detail.into(),
            ..place
        }
    }

    /// Gives each node a number in place of its line. Texts that were read without lines have none.
    fn adopt(&mut self, node: &mut Node, file: &str, path: &str) {
        self.0.push(ImportRemark {
            file: file.to_owned(),
            line: (node.line > 0).then_some(node.line),
            path: path.to_owned(),
            detail: String::new(),
        });
        node.line = self.0.len();
        match &mut node.value {
            NodeValue::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.adopt(item, file, &format!("{path}[{index}]"));
                }
            }
            NodeValue::Map(members) => {
                for (name, member) in members {
                    self.adopt(member, file, &joined(path, name));
                }
            }
            _ => {}
        }
    }
}

/// The path of a member.
fn joined(path: &str, name: &str) -> String {
    let is_plain = !name.is_empty()
        && name
            .chars()
            .all(|it| it.is_alphanumeric() || matches!(it, '_' | '-' | '$'));
    match (is_plain, path.is_empty()) {
        (true, true) => name.to_owned(),
        (true, false) => format!("{path}.{name}"),
        (false, _) => format!("{path}[{name:?}]"),
    }
}

/// Reads files, and those in folders, in order.
pub(super) fn read(paths: &[PathBuf]) -> Result<(Vec<SourceFile>, Origins), SourceFileError> {
    let (mut files, mut origins) = (Vec::new(), Origins::default());
    for path in paths {
        if path.is_dir() {
            let mut found = Vec::new();
            collect(path, 0, &mut found).map_err(|cause| SourceFileError::File {
                path: path.clone(),
                cause,
            })?;
            if found.is_empty() {
                return Err(SourceFileError::Empty(path.clone()));
            }
            if found.len() > MAX_FILES {
                return Err(SourceFileError::TooMany(path.clone()));
            }
            found.sort_unstable();
            for file in found {
                read_file(&file, true, &mut files, &mut origins)?;
            }
        } else {
            read_file(path, false, &mut files, &mut origins)?;
        }
    }
    Ok((files, origins))
}

/// Reads a file that another one names, if it is there.
pub(super) fn read_named(path: &Path, origins: &mut Origins) -> Option<SourceFile> {
    let mut files = Vec::new();
    read_file(path, true, &mut files, origins).ok()?;
    files.into_iter().next()
}

/// The files of a folder that may describe agents. Hidden ones and links are left out.
fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    const EXTENSIONS: [&str; 6] = ["md", "yaml", "yml", "json", "jsonc", "af"];
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if is_hidden || found.len() > MAX_FILES {
            continue;
        }
        if kind.is_dir() && depth < MAX_DEPTH {
            collect(&path, depth + 1, found)?;
        }
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        let is_wanted = EXTENSIONS
            .iter()
            .any(|wanted| extension.eq_ignore_ascii_case(wanted));
        if kind.is_file() && is_wanted {
            found.push(path);
        }
    }
    Ok(())
}

fn read_file(
    path: &Path,
    is_found: bool,
    files: &mut Vec<SourceFile>,
    origins: &mut Origins,
) -> Result<(), SourceFileError> {
    let text = migration::bounds::read_to_string(path, MAX_FILE);
    let text = text.map_err(|cause| SourceFileError::File {
        path: path.to_owned(),
        cause,
    })?;
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let name = path.display().to_string();
    let mut add = |content| {
        files.push(SourceFile {
            path: path.to_owned(),
            is_found,
            content,
        });
    };
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    if extension.eq_ignore_ascii_case("md") {
        let front_matter::Markdown {
            mut front,
            is_lenient,
            mut body,
        } = front_matter::read(&text);
        if let Some(front) = &mut front {
            origins.adopt(front, &name, "");
        }
        origins.adopt(&mut body, &name, "body");
        add(Content::Markdown {
            front,
            is_lenient,
            body,
        });
        return Ok(());
    }
    let parsed = parse(&text).map_err(|(line, detail)| SourceFileError::Text {
        path: path.to_owned(),
        line,
        detail,
    })?;
    for mut tree in parsed {
        origins.adopt(&mut tree, &name, "");
        add(Content::Tree(tree));
    }
    Ok(())
}

/// The documents of a text: YAML, or JSON with comments, or a JSON text that holds another one.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, (usize, String)> {
    let is_json = text.trim_start().starts_with(['{', '[', '"', '/']);
    if !is_json {
        return yaml::parse(text).map_err(|error| (error.line, error.to_string()));
    }
    let plain = without_comments(text);
    let documents = match yaml::parse(&plain) {
        Ok(documents) => documents,
        // JSON has texts that YAML refuses. Its own reader knows no lines.
        Err(error) => match Node::parse(&plain) {
            Ok(node) => vec![node],
            Err(_) => return Err((error.line, error.to_string())),
        },
    };
    let is_encoded = |text: &str| text.trim_start().starts_with('{');
    match documents.as_slice() {
        [
            Node {
                value: NodeValue::Text(inner),
                ..
            },
        ] if is_encoded(inner) => {
            let mut inner = parse(inner)?;
            inner.iter_mut().for_each(forget_lines);
            Ok(inner)
        }
        _ => Ok(documents),
    }
}

/// The lines of a text in a text are not lines of the file.
fn forget_lines(node: &mut Node) {
    node.line = 0;
    match &mut node.value {
        NodeValue::List(items) => items.iter_mut().for_each(forget_lines),
        NodeValue::Map(members) => members.values_mut().for_each(forget_lines),
        _ => {}
    }
}

/// JSON with spaces in place of its comments, so that lines stay what they are. YAML takes a comma before a bracket.
fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match (character, rest.peek()) {
            ('"', _) => {
                plain.push('"');
                while let Some(inner) = rest.next() {
                    plain.push(inner);
                    match inner {
                        '\\' => plain.extend(rest.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            ('/', Some('/')) => while rest.next_if(|it| *it != '\n').is_some() {},
            ('/', Some('*')) => {
                rest.next();
                let mut last = ' ';
                for inner in rest.by_ref() {
                    if inner == '\n' {
                        plain.push('\n');
                    }
                    if last == '*' && inner == '/' {
                        break;
                    }
                    last = inner;
                }
                plain.push(' ');
            }
            _ => plain.push(character),
        }
    }
    plain
}

impl SourceFile {
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The file's name without its extension, or that of its folder if the file's says only what is in it.
    pub(super) fn title(&self) -> String {
        const GENERIC: [&str; 7] = [
            "agent",
            "agents",
            "config",
            "crew",
            "docker-agent",
            "cagent",
            "tasks",
        ];
        let mut stems = std::iter::successors(Some(self.path.as_path()), |path| path.parent())
            .map(|path| path.file_stem().unwrap_or_default().to_string_lossy())
            .filter(|stem| !stem.is_empty());
        let first = stems.next();
        let first = first.as_deref().unwrap_or_default().to_owned();
        let is_generic = |stem: &str| GENERIC.iter().any(|it| stem.eq_ignore_ascii_case(it));
        if !is_generic(&first) {
            return first;
        }
        let named = stems.find(|stem| !is_generic(stem));
        named.map_or(first, Cow::into_owned)
    }

    /// The top of its tree, if that is an object.
    pub(super) fn members(&self) -> Option<&NodeMap> {
        match &self.content {
            Content::Tree(Node {
                value: NodeValue::Map(members),
                ..
            }) => Some(members),
            _ => None,
        }
    }

    /// The origin of its first node.
    pub(super) fn origin(&self) -> usize {
        match &self.content {
            Content::Tree(node) => node.line,
            Content::Markdown { front, body, .. } => {
                front.as_ref().map_or(body.line, |front| front.line)
            }
        }
    }
}
