//! The entries of a transcript. Everything that a client wrote is quoted or escaped, so that it can't pass
//! for the structure of the transcript: a title, the head of an entry, or the end of a code block.

use std::borrow::Cow;

use entity::{conversation, message};
use sea_orm::ActiveEnum;

use super::dto::TranscriptFormat;
use crate::text::{escaped, one_line};

/// The topic and the prompt.
pub(super) fn title(conversation_row: &conversation::Model, format: TranscriptFormat) -> String {
    let topic = line(&conversation_row.topic, format);
    let mut text = match format {
        TranscriptFormat::Text => format!("{topic}\n"),
        TranscriptFormat::Markdown => format!("# {topic}\n"),
    };
    if let Some(prompt) = &conversation_row.initial_prompt {
        text.push('\n');
        quote(&mut text, prompt, format);
    }
    text
}

pub(super) fn entry(row: &message::Model, format: TranscriptFormat) -> String {
    let message::Model {
        number,
        author,
        author_name,
        content,
        tool_calls,
        reply_to,
        created_at,
        ..
    } = row;
    let (author, name) = (author.to_value(), line(author_name, format));
    let time = created_at.format("%Y-%m-%d %H:%M:%SZ");
    let answers = reply_to
        .map(|number| format!(", to {number}"))
        .unwrap_or_default();
    let mut text = match format {
        TranscriptFormat::Text => format!("\n[{number}{answers}] {author} {name} ({time})\n"),
        TranscriptFormat::Markdown => {
            format!("\n## {number}. {author} {name}\n\n*{time}{answers}*\n\n")
        }
    };
    quote(&mut text, content, format);
    let calls: Vec<String> = tool_calls.items().into_iter().map(json_line).collect();
    match format {
        TranscriptFormat::Text => {
            text.extend(calls.iter().map(|call| format!("tool call: {call}\n")));
        }
        TranscriptFormat::Markdown if !calls.is_empty() => {
            let calls = calls.join("\n");
            let fence = fence_around(&calls);
            text.extend([
                "\nTool calls:\n\n",
                &fence,
                "json\n",
                &calls,
                "\n",
                &fence,
                "\n",
            ]);
        }
        TranscriptFormat::Markdown => {}
    }
    text
}

/// A name or a title: one line, and in Markdown without markup.
fn line(text: &str, format: TranscriptFormat) -> Cow<'_, str> {
    const MARKUP: &str = r"\`*_[]<>#&~|$!";
    let text = one_line(text);
    if format == TranscriptFormat::Text || !text.contains(|it| MARKUP.contains(it)) {
        return text;
    }
    let mut plain = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if MARKUP.contains(character) {
            plain.push('\\');
        }
        plain.push(character);
    }
    Cow::Owned(plain)
}

/// JSON has line breaks only between its parts.
fn json_line(call: &str) -> String {
    one_line(&call.replace(['\n', '\r', '\t'], " ")).into_owned()
}

/// Quotes a text: every line begins with `> `. In Markdown it is a block quote, which ends whatever the
/// text leaves open, except HTML. So a text with HTML is a block of code in the quote.
fn quote(output: &mut String, text: &str, format: TranscriptFormat) {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let text = escaped(&text, "\n\t");
    let fence =
        (format == TranscriptFormat::Markdown && has_html(&text)).then(|| fence_around(&text));
    let fence = fence.as_deref();
    for line in fence.into_iter().chain(text.lines()).chain(fence) {
        output.push_str(if line.is_empty() { ">" } else { "> " });
        output.push_str(line);
        output.push('\n');
    }
}

/// Whether a Markdown processor could take a part of the text for HTML (CommonMark, sections 4.6 and 6.6).
fn has_html(text: &str) -> bool {
    let begins = |next: char| next.is_ascii_alphabetic() || "/!?".contains(next);
    let mut after = text.split('<').skip(1);
    after.any(|rest| rest.starts_with(begins))
}

/// A line that begins and ends a block of code around this text: longer than any run of backticks in it.
fn fence_around(text: &str) -> String {
    let runs = text.split(|character| character != '`').map(str::len);
    "`".repeat(runs.max().unwrap_or_default().max(2) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str, format: TranscriptFormat) -> String {
        let mut output = String::new();
        quote(&mut output, text, format);
        output
    }

    #[test]
    fn every_line_is_quoted_whatever_separates_lines() {
        for format in [TranscriptFormat::Text, TranscriptFormat::Markdown] {
            assert_eq!(
                quoted("a\n\n# b\r\n```\r[9] c\n", format),
                "> a\n>\n> # b\n> ```\n> [9] c\n"
            );
            assert_eq!(
                quoted("a\u{2028}# b\u{85}c\u{b}d\u{1b}[1m\te", format),
                "> a\\u{2028}# b\\u{85}c\\u{b}d\\u{1b}[1m\te\n"
            );
            assert_eq!(quoted("", format), "");
        }
    }

    #[test]
    fn html_is_shown_as_code_that_the_text_does_not_end() {
        for text in ["<!-- a", "</blockquote>", "a <b", "<?x", "Vec<u8>"] {
            let markdown = quoted(text, TranscriptFormat::Markdown);
            assert_eq!(markdown, format!("> ```\n> {text}\n> ```\n"));
            assert_eq!(quoted(text, TranscriptFormat::Text), format!("> {text}\n"));
        }
        let text = "<b>\n````\n```";
        let expected = "> `````\n> <b>\n> ````\n> ```\n> `````\n";
        assert_eq!(quoted(text, TranscriptFormat::Markdown), expected);
        assert_eq!(
            quoted("1 < 2 <- 3", TranscriptFormat::Markdown),
            "> 1 < 2 <- 3\n"
        );
    }

    #[test]
    fn a_name_is_one_line_without_markup() {
        let name = "Eve\n## 9. *Ada* <b> [x](y) `";
        assert_eq!(
            line(name, TranscriptFormat::Text),
            "Eve\\n## 9. *Ada* <b> [x](y) `"
        );
        assert_eq!(
            line(name, TranscriptFormat::Markdown),
            r"Eve\\n\#\# 9. \*Ada\* \<b\> \[x\](y) \`"
        );
    }
}
