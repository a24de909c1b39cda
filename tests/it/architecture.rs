//! Imports go one way. The rooms of `src/` are listed from the top down, and each imports only from
//! rooms below it. A new edge upwards fails here, with the file and the import.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The rooms (files and folders) of `src/`, from the top down. `lib.rs` and `main.rs` only name them.
const ROOMS: [&str; 35] = [
    // The program.
    "cli",
    "app",
    "doctor",
    "server",
    "exposure",
    // What is around the resources.
    "routes",
    "openapi",
    "health",
    "middleware",
    // The resources.
    "catalog",
    "handles",
    "agents",
    "conversations",
    "members",
    "circles",
    "models",
    "providers",
    "audit",
    "keys",
    // The kit they are made of.
    "http",
    "sort",
    "page",
    "write",
    "revision",
    "rows",
    "search",
    "secrets",
    // What everything rests on.
    "database",
    "telemetry",
    "lifecycle",
    "config",
    "error",
    "entity",
    "migration",
    "poem",
];

/// From this room down, nothing knows of HTTP.
const FIRST_WITHOUT_HTTP: &str = "sort";

fn rank(room: &str) -> Option<usize> {
    ROOMS.iter().position(|known| *known == room)
}

/// An import: the file, its room, and the room or crate that it imports from.
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
fn every_room_has_its_place() {
    for import in imports() {
        assert!(rank(&import.from).is_some(), "{} has no rank", import.from);
        assert!(rank(&import.to).is_some(), "{} has no rank", import.to);
    }
}

#[test]
fn nothing_below_http_knows_of_poem() {
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
                /// See crate::cli.\nuse poem::Request;\n";
    let mut found = imported(code);
    found.sort();
    assert_eq!(found, ["circles", "error", "models", "poem", "write"]);
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
            let name = file.to_string_lossy().into_owned();
            let from = name.split(['/', '.']).next().unwrap_or_default();
            let from = from.to_owned();
            let code = fs::read_to_string(path).expect("a source file");
            // Tests look at the whole from wherever they are.
            let code = code.split("#[cfg(test)]").next().unwrap_or_default();
            imported(code).into_iter().map(move |to| Import {
                file: name.clone(),
                from: from.clone(),
                to,
            })
        })
        .filter(|import| !["lib", "main"].contains(&import.from.as_str()))
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The rooms that code imports from, and `poem` where it imports that.
fn imported(code: &str) -> Vec<String> {
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut rooms = Vec::new();
    if code.contains("use poem::") {
        rooms.push("poem".to_owned());
    }
    for (at, marker) in code.match_indices("crate::") {
        let rest = &code[at + marker.len()..];
        match rest.strip_prefix('{') {
            Some(list) => rooms.extend(first_names(list)),
            None => rooms.push(first_name(rest)),
        }
    }
    rooms.sort();
    rooms.dedup();
    rooms
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
