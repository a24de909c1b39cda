//! The reference of all settings in Markdown, written from the command line's own help.

use clap::{Arg, Command};

const INTRODUCTION: &str = include_str!("settings_reference.md");
const TABLE_HEAD: &str = "| flag | variable | default | description |\n|---|---|---|---|\n";

pub(super) fn write(command: &Command) -> String {
    let mut arguments: Vec<&Arg> = command.get_arguments().collect();
    arguments.sort_by_key(|argument| argument.get_help_heading().is_some());
    let sections =
        arguments.chunk_by(|one, next| one.get_help_heading() == next.get_help_heading());
    INTRODUCTION.to_owned() + &sections.map(section).collect::<String>()
}

/// A table of the settings below one heading of the help.
fn section(arguments: &[&Arg]) -> String {
    let heading = arguments.first().and_then(|first| first.get_help_heading());
    let heading = heading.unwrap_or("General");
    let rows: String = arguments.iter().map(|argument| row(argument)).collect();
    format!("\n## {heading}\n\n{TABLE_HEAD}{rows}")
}

fn row(argument: &Arg) -> String {
    let flag = argument.get_long().unwrap_or_default();
    let variable = argument.get_env().unwrap_or_default().to_string_lossy();
    let help = argument.get_help().map(ToString::to_string);
    let (description, default) = describe(argument, help.as_deref().unwrap_or_default());
    format!("| `--{flag}` | `{variable}` | {default} | {description} |\n")
}

/// The description and the default. A default that depends on other settings is at the end of the
/// help, in brackets.
fn describe(argument: &Arg, help: &str) -> (String, String) {
    let (help, stated) = match help.split_once(" [default: ") {
        Some((help, default)) => (help, Some(default.trim_end_matches(']'))),
        None => (help, None),
    };
    let default = argument.get_default_values().first();
    let default = match (default, stated) {
        (Some(value), _) => format!("`{}`", value.to_string_lossy()),
        (None, Some(text)) => text.to_owned(),
        (None, None) => "none".to_owned(),
    };
    let values: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|_| !argument.is_hide_possible_values_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    let values = match values.as_slice() {
        [] => String::new(),
        values => format!(": {}", values.join(" or ")),
    };
    (format!("{help}{values}."), default)
}
