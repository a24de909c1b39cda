//! Imports go one way: the modules of `src/` are listed from the top down, and each imports only from
//! those below it. An import upwards fails here, with the file and the module.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The modules (files and folders) of `src/`, from the top down. `lib.rs` and `main.rs` only declare
/// them.
const MODULES: [&str; 57] = [
    // The program.
    "cli",
    "app",
    "doctor",
    "copy",
    "prune",
    "server",
    "exposure",
    "systemd",
    "as_code",
    "formats",
    "catalog",
    // Around the resources.
    "routes",
    "openapi",
    "health",
    "middleware",
    "metrics",
    // The resources.
    "exports",
    "documents",
    "releases",
    "handles",
    "agents",
    "conversations",
    "members",
    "webhooks",
    "changes",
    "circles",
    "models",
    "mcp_servers",
    "providers",
    "audit",
    "keys",
    "versions",
    // What they share.
    "http",
    "sort",
    "page",
    "write",
    "revision",
    "watermark",
    "rows",
    "search",
    "secrets",
    "diff",
    "digest",
    // The base.
    "database",
    "telemetry",
    "traces",
    "egress",
    "yaml",
    "text",
    "lifecycle",
    "memory",
    "progress",
    "config",
    "error",
    "entity",
    "migration",
    "poem",
];

/// This module and those below it know nothing of HTTP.
const FIRST_WITHOUT_HTTP: &str = "sort";

fn rank(module: &str) -> Option<usize> {
    MODULES.iter().position(|known| *known == module)
}

/// An import: the file, its module, and the module or crate that it imports from.
struct Import {
    file: String,
    from: String,
    to: String,
}

#[test]
fn imports_go_one_way() {
    let upward: Vec<String> = imports()
        .iter()
        .filter(|import| import.from != import.to)
        .filter(|import| rank(&import.from) >= rank(&import.to))
        .map(|import| format!("{} imports {}", import.file, import.to))
        .collect();
    assert!(upward.is_empty(), "upwards:\n{}", upward.join("\n"));
}

#[test]
fn every_module_has_a_rank() {
    for import in imports() {
        assert!(rank(&import.from).is_some(), "{} has no rank", import.from);
        assert!(rank(&import.to).is_some(), "{} has no rank", import.to);
    }
}

#[test]
fn nothing_below_http_imports_poem() {
    let first = rank(FIRST_WITHOUT_HTTP);
    for import in imports() {
        let below = rank(&import.from) >= first || import.file.ends_with("queries.rs");
        assert!(
            !(below && import.to == "poem"),
            "{} imports poem",
            import.file
        );
    }
}

#[test]
fn an_import_is_found_however_it_is_written() {
    let code = "use crate::{\n    circles::{self, dto::Circle},\n    error::Error,\n};\n\
                use crate::write;\nlet row = crate::models::queries::get();\n\
                use super::roster;\nuse super::super::{sort, search};\n\
                /// See crate::cli.\nfn get() -> poem::Result<poem_openapi::Tags> {}\n";
    assert_eq!(
        imported(code, 2),
        [
            "circles", "error", "models", "poem", "search", "sort", "write"
        ]
    );
}

/// Names that SeaORM gives a meaning: one of each is in every entity or migration.
const NAMED_BY_SEA_ORM: [&str; 7] = [
    "ActiveModel",
    "Column",
    "Entity",
    "Migration",
    "Model",
    "PrimaryKey",
    "Relation",
];

#[test]
fn no_type_name_is_declared_twice() {
    let mut declared: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for folder in ["src", "entity/src", "migration/src"] {
        let mut files = Vec::new();
        collect(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut files,
        );
        assert!(!files.is_empty(), "{folder} was not found");
        for path in files {
            for name in code_of(&path).lines().filter_map(declared_type) {
                let file = path.display().to_string();
                declared.entry(name).or_default().push(file);
            }
        }
    }
    declared.retain(|name, files| files.len() > 1 && !NAMED_BY_SEA_ORM.contains(&&**name));
    assert!(declared.is_empty(), "{declared:#?}");
}

#[test]
fn a_declared_type_is_found_but_no_associated_one() {
    for (line, name) in [
        ("pub(crate) struct Answer<T>(T);", Some("Answer")),
        ("    enum Local {", Some("Local")),
        ("pub trait HasEtag {", Some("HasEtag")),
        ("type Created<T> = Answer<T>;", Some("Created")),
        ("    type Output = Response;", None),
        ("let struct_name = 1;", None),
        ("    pub struct $name {", None),
    ] {
        assert_eq!(declared_type(line).as_deref(), name, "{line}");
    }
}

/// The name of the type that a line declares.
fn declared_type(line: &str) -> Option<String> {
    let is_inside = line.starts_with(' ');
    let line = line.trim_start();
    let line = match line.strip_prefix("pub") {
        Some(rest) => rest.split_once(' ')?.1,
        None => line,
    };
    let (keyword, rest) = line.split_once(' ')?;
    // Inside an impl or a trait, `type` declares an associated type.
    let declares =
        ["struct", "enum", "trait"].contains(&keyword) || keyword == "type" && !is_inside;
    // A macro's parameter is no name.
    let name = first_name(rest);
    (declares && !name.is_empty()).then_some(name)
}

fn imports() -> Vec<Import> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 50, "src/ was not found");
    files
        .iter()
        .flat_map(|path| {
            let file = path.strip_prefix(&root).expect("below src/");
            let file = file.to_string_lossy().into_owned();
            let module = file.trim_end_matches(".rs").trim_end_matches("/mod");
            let (from, depth) = (first_name(module), module.split('/').count());
            imported(&code_of(path), depth)
                .into_iter()
                .map(move |to| Import {
                    file: file.clone(),
                    from: from.clone(),
                    to,
                })
        })
        .filter(|import| !["lib", "main"].contains(&import.from.as_str()))
        .collect()
}

/// The code of a file without comments and without its tests, which may import from anywhere.
fn code_of(path: &Path) -> String {
    let code = fs::read_to_string(path).expect("a source file");
    let code = code.split("#[cfg(test)]\nmod tests {").next();
    without_comments(code.unwrap_or_default())
}

fn without_comments(code: &str) -> String {
    let lines = code.lines();
    let lines: Vec<&str> = lines
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    lines.join("\n")
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The modules that code at this depth imports from, and `poem` if it names that.
fn imported(code: &str, depth: usize) -> Vec<String> {
    let code = without_comments(code).replace(&"super::".repeat(depth), "crate::");
    let mut modules = Vec::new();
    let names_poem = |(at, _)| !code[..at].ends_with(|it: char| it.is_alphanumeric() || it == '_');
    if code.match_indices("poem::").any(names_poem) {
        modules.push("poem".to_owned());
    }
    for (at, marker) in code.match_indices("crate::") {
        let rest = &code[at + marker.len()..];
        match rest.strip_prefix('{') {
            Some(list) => modules.extend(first_names(list)),
            None => modules.push(first_name(rest)),
        }
    }
    modules.sort();
    modules.dedup();
    modules
}

fn first_name(path: &str) -> String {
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    path.chars().take_while(|it| is_name(*it)).collect()
}

/// The first name of each path in a list, up to the brace that closes it.
fn first_names(list: &str) -> Vec<String> {
    let (mut depth, mut start, mut names) = (0, 0, Vec::new());
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(first_name(list[start..at].trim_start()));
                start = at + 1;
                if character == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}
