//! `circle-registry convert`.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use super::{Failure, circle::on_database};
use crate::{
    as_code::{DocumentFiles, DocumentFormat},
    config::{LogFormat, Settings},
    formats::{self, Catalogue, ConvertOptions, ModelTable, NamedModel, SourceFormat},
    text::Terminal,
};

#[derive(Debug, Args)]
pub(super) struct ConvertArguments {
    /// Files, or folders with files, of one format
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// The format, if it is not to be detected
    #[arg(long, value_name = "FORMAT")]
    from: Option<SourceFormat>,

    /// The circle's name; a single agent becomes a circle, too
    #[arg(long, value_name = "NAME")]
    circle: Option<String>,

    /// The document's owner
    #[arg(long, value_name = "LABEL")]
    owner: Option<String>,

    /// What a name of a model in the files stands for. Repeatable
    #[arg(long, value_name = "THEIRS=PROVIDER/MODEL")]
    model: Vec<NamedModel>,

    /// A file with what names of models stand for, one in each line as in --model
    #[arg(long, value_name = "FILE")]
    models: Option<PathBuf>,

    /// Describe all models in the document, and look none up in the catalogue; takes no database
    #[arg(long)]
    no_catalog: bool,

    /// Format of the document
    #[arg(long, value_name = "FORMAT", default_value_t = DocumentFormat::Yaml)]
    format: DocumentFormat,

    /// Format of the report on standard error
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    report: LogFormat,
}

pub(super) async fn run(
    settings: &Settings,
    arguments: ConvertArguments,
) -> Result<ExitCode, Failure> {
    let ConvertArguments {
        files,
        from,
        circle,
        owner,
        model,
        models,
        no_catalog,
        format,
        report: report_format,
    } = arguments;
    let mut table = ModelTable::default();
    if let Some(path) = models {
        table.extend(read_table(&path)?);
    }
    table.extend(model);
    let catalogue = if no_catalog {
        None
    } else {
        let owner = owner.as_deref();
        let catalogue = on_database(settings, async |database| {
            Ok(Catalogue::load(database, owner).await?)
        });
        Some(catalogue.await?)
    };
    let options = ConvertOptions {
        from,
        circle,
        owner,
        models: table,
    };
    let (document, report) = formats::convert(&files, catalogue.as_ref(), &options)?;
    let mut messages = Terminal(io::stderr());
    match report_format {
        LogFormat::Text => write!(messages, "{report}")?,
        LogFormat::Json => writeln!(messages, "{}", serde_json::to_string(&report)?)?,
    }
    let text = format.write(&document)?;
    // What apply would refuse is no document. Its lines are those of the document.
    let checked = DocumentFiles::parse(Path::new("the document"), &text)?;
    for place in checked.check()?.suspected {
        writeln!(messages, "warning: {place} this may be a secret")?;
    }
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Pairs, one a line; blank lines and those with `#` say nothing.
fn read_table(path: &Path) -> Result<Vec<NamedModel>, Failure> {
    const MAX_TABLE: u64 = 1 << 20;
    let text = migration::bounds::read_to_string(path, MAX_TABLE)
        .map_err(|cause| format!("{} can't be read: {cause}", path.display()))?;
    let lines = text.lines().map(str::trim).enumerate();
    let pairs = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let pair = |(index, line): (usize, &str)| {
        let pair = line.parse::<NamedModel>();
        pair.map_err(|error| format!("{}:{}: {error}", path.display(), index + 1).into())
    };
    pairs.map(pair).collect()
}
