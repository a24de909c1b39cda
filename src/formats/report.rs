//! What an import says: which models it chose, what is not kept and why, and what has another form.

use std::fmt;

use serde::Serialize;

use crate::secrets;

/// What became of files.
#[derive(Debug, Default, Serialize)]
pub(crate) struct ImportReport {
    /// The format that the files are in.
    pub(crate) format: String,
    /// The files that were read, in order.
    pub(crate) files: Vec<String>,
    /// The models that the files name.
    pub(crate) models: Vec<ModelChoice>,
    /// What the document does not have.
    pub(crate) not_kept: Vec<ImportRemark>,
    /// What the document has in another form.
    pub(crate) changed: Vec<ImportRemark>,
    /// What the document has as free data, which means something to the file's own system only.
    pub(crate) metadata: Vec<ImportRemark>,
}

/// Something in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ImportRemark {
    pub(crate) file: String,
    /// Absent if the file has no lines, or the whole file is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    pub(crate) path: String,
    pub(crate) detail: String,
}

/// What a model's name in the files stands for.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ModelChoice {
    /// As the files have it.
    pub(crate) name: String,
    /// The document's `provider/model_name`; null if no model was found.
    pub(crate) model: Option<String>,
    /// How it was found.
    pub(crate) how: ChoiceKind,
    pub(crate) detail: String,
    /// Models that may be meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) candidates: Vec<String>,
}

/// How a model was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChoiceKind {
    /// By `--model`.
    Given,
    /// The catalogue has it under this name.
    Catalogue,
    /// The catalogue has it under an alias, or a name that means the same.
    Alias,
    /// The catalogue does not have it: the document describes it.
    Described,
    /// No model.
    None,
}

/// The longest path that is shown, in characters.
const MAX_PATH: usize = 200;

impl ImportReport {
    pub(super) fn add_to(list: &mut Vec<ImportRemark>, mut remark: ImportRemark) {
        // The name of a member may itself be a secret.
        if secrets::is_secret(&remark.path) {
            "a member whose name looks like a secret".clone_into(&mut remark.path);
        }
        if remark.path.chars().count() > MAX_PATH {
            remark.path = remark.path.chars().take(MAX_PATH).collect::<String>() + "…";
        }
        if !list.contains(&remark) {
            list.push(remark);
        }
    }
}

impl fmt::Display for ImportRemark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            path,
            detail,
        } = self;
        write!(f, "{file}:")?;
        if let Some(line) = line {
            write!(f, "{line}:")?;
        }
        if !path.is_empty() {
            write!(f, " {path}:")?;
        }
        write!(f, " {detail}")
    }
}

impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            format,
            files,
            models,
            not_kept,
            changed,
            metadata,
        } = self;
        writeln!(f, "{format}: {}", files.join(", "))?;
        for ModelChoice {
            name,
            model,
            detail,
            candidates,
            ..
        } in models
        {
            let model = model.as_deref().unwrap_or("none");
            write!(f, "model {name} -> {model}: {detail}")?;
            if !candidates.is_empty() {
                write!(f, "; perhaps {}", candidates.join(", "))?;
            }
            writeln!(f)?;
        }
        for (title, remarks) in [
            ("not kept", not_kept),
            ("changed", changed),
            ("kept as free data", metadata),
        ] {
            for remark in remarks {
                writeln!(f, "{title}: {remark}")?;
            }
        }
        writeln!(
            f,
            "{} not kept, {} changed, {} kept as free data",
            not_kept.len(),
            changed.len(),
            metadata.len()
        )
    }
}
