//! What a statement is about, without its values.

/// The longest summary, in bytes, by OpenTelemetry's conventions.
const MAX_SUMMARY: usize = 255;

/// What a statement does and to which tables, as `SELECT circles members`. It has no values, and there are few of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct QuerySummary {
    pub(super) operation: String,
    pub(super) text: String,
}

impl QuerySummary {
    pub(super) fn of(sql: &str) -> Self {
        let mut words: Vec<&str> = Vec::new();
        let mut operations: Vec<&str> = Vec::new();
        let (mut previous, mut names_table) = ("", false);
        for token in SqlTokens(sql) {
            let SqlToken::Word(word) = token else {
                if let SqlToken::Quoted(name) = token
                    && names_table
                {
                    add(&mut words, name);
                }
                names_table = false;
                continue;
            };
            match keyword(word, previous) {
                Keyword::Operation(operation) => {
                    operations.push(operation);
                    words.push(operation);
                    names_table = operation == "UPDATE";
                }
                Keyword::BeforeTable => names_table = true,
                Keyword::Modifier => {}
                Keyword::None => {
                    if std::mem::take(&mut names_table) {
                        add(&mut words, word);
                    }
                }
            }
            previous = word;
        }
        let Some(first) = operations.first() else {
            return Self::of_command(sql);
        };
        // What changes rows is what the statement is for.
        let change = operations.iter().find(|operation| **operation != "SELECT");
        Self {
            operation: (*change.unwrap_or(first)).to_owned(),
            text: joined(&words),
        }
    }

    /// Of a statement that is none of rows, as `BEGIN`.
    fn of_command(sql: &str) -> Self {
        let word = SqlTokens(sql).find_map(|token| match token {
            SqlToken::Word(word) => Some(word.to_ascii_uppercase()),
            _ => None,
        });
        let operation = word.unwrap_or_default();
        Self {
            text: operation.clone(),
            operation,
        }
    }
}

fn add<'s>(words: &mut Vec<&'s str>, table: &'s str) {
    if words.last() != Some(&table) {
        words.push(table);
    }
}

fn joined(words: &[&str]) -> String {
    let mut text = String::new();
    for word in words {
        if text.len() + 1 + word.len() > MAX_SUMMARY {
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

/// What a word means for the summary.
enum Keyword {
    Operation(&'static str),
    /// A table's name comes next.
    BeforeTable,
    /// A table's name still comes next if it did before.
    Modifier,
    None,
}

fn keyword(word: &str, previous: &str) -> Keyword {
    const OPERATIONS: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];
    let is = |word: &str, names: &[&str]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
    let operation = OPERATIONS
        .iter()
        .find(|name| word.eq_ignore_ascii_case(name));
    match operation {
        // FOR UPDATE, FOR NO KEY UPDATE and ON CONFLICT DO UPDATE are parts of other operations.
        Some(_) if is(previous, &["FOR", "KEY", "DO"]) => Keyword::None,
        Some(operation) => Keyword::Operation(operation),
        // IS DISTINCT FROM compares.
        None if is(word, &["FROM"]) && is(previous, &["DISTINCT"]) => Keyword::None,
        None if is(word, &["FROM", "JOIN", "INTO"]) => Keyword::BeforeTable,
        None if is(word, &["ONLY", "LATERAL"]) => Keyword::Modifier,
        None => Keyword::None,
    }
}

/// The tokens of a statement, without comments.
struct SqlTokens<'s>(&'s str);

enum SqlToken<'s> {
    Word(&'s str),
    /// A name in quotation marks, without them.
    Quoted(&'s str),
    /// A value, a placeholder or a sign.
    Other,
}

impl<'s> SqlTokens<'s> {
    /// Takes what comes before this quotation mark, which goes, too. (A text as a pattern would take longer: there are
    /// many.)
    fn until_quote(&mut self, quote: char) -> &'s str {
        let (taken, rest) = self.0.split_once(quote).unwrap_or((self.0, ""));
        self.0 = rest;
        taken
    }

    /// Drops a comment, with its end.
    fn drop_until(&mut self, end: &str) {
        self.0 = self.0.split_once(end).map_or("", |(_, rest)| rest);
    }

    fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> &'s str {
        let end = self.0.bytes().position(|next| !belongs(next));
        let (taken, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        taken
    }
}

impl<'s> Iterator for SqlTokens<'s> {
    type Item = SqlToken<'s>;

    fn next(&mut self) -> Option<SqlToken<'s>> {
        loop {
            self.take_while(|byte| byte.is_ascii_whitespace());
            let first = self.0.chars().next()?;
            if first.is_alphabetic() || first == '_' {
                return Some(SqlToken::Word(self.take_while(is_of_word)));
            }
            // A number or a placeholder, whose letters are no word.
            if first.is_ascii_digit() || matches!(first, '$' | '?' | ':') {
                self.0 = &self.0[1..];
                self.take_while(is_of_word);
                return Some(SqlToken::Other);
            }
            let is_comment = self.0.starts_with("--") || self.0.starts_with("/*");
            let end = if self.0.starts_with("--") { "\n" } else { "*/" };
            self.0 = &self.0[first.len_utf8()..];
            match first {
                _ if is_comment => {
                    self.drop_until(end);
                }
                '"' => return Some(SqlToken::Quoted(self.until_quote('"'))),
                // Two in a row, which stand for one, are two values here: nothing is lost.
                '\'' => {
                    self.until_quote('\'');
                    return Some(SqlToken::Other);
                }
                _ => return Some(SqlToken::Other),
            }
        }
    }
}

/// Whether a name may have the byte. Those beyond ASCII are whole characters of names only.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_operations_and_tables() {
        for (sql, operation, text) in [
            (
                "SELECT \"c\".\"id\" FROM \"circles\" c LEFT JOIN members m ON m.id = $1 WHERE name = 'FROM x'",
                "SELECT",
                "SELECT circles members",
            ),
            (
                "INSERT INTO \"agents\" (\"name\") VALUES (?) ON CONFLICT (id) DO UPDATE SET name = ?",
                "INSERT",
                "INSERT agents",
            ),
            (
                "WITH found AS (SELECT id FROM circles FOR NO KEY UPDATE) UPDATE circles SET n = n + 1 FROM found",
                "UPDATE",
                "SELECT circles UPDATE circles found",
            ),
            (
                "DELETE FROM api_keys WHERE a IS DISTINCT FROM b -- from nowhere\n AND c = 1e5",
                "DELETE",
                "DELETE api_keys",
            ),
            (
                "SELECT (SELECT max(id) FROM a), x FROM (SELECT 1) AS y JOIN LATERAL (SELECT 2) z ON true",
                "SELECT",
                "SELECT SELECT a SELECT SELECT",
            ),
            ("BEGIN IMMEDIATE", "BEGIN", "BEGIN"),
            ("", "", ""),
        ] {
            let expected = QuerySummary {
                operation: operation.to_owned(),
                text: text.to_owned(),
            };
            assert_eq!(QuerySummary::of(sql), expected, "{sql}");
        }
    }

    #[test]
    fn a_summary_has_no_values_and_is_bounded() {
        let sql = "SELECT 'it''s FROM canary', $1, ?2, \"canary\" FROM t /* FROM canary */ WHERE n = 'JOIN canary'";
        assert_eq!(QuerySummary::of(sql).text, "SELECT t");
        let sql = format!("SELECT 1 FROM {}", "x".repeat(300));
        assert_eq!(QuerySummary::of(&sql).text, "SELECT");
        let many: Vec<String> = (0..99).map(|n| format!("JOIN table_{n}")).collect();
        let text = QuerySummary::of(&format!("SELECT 1 FROM a {}", many.join(" "))).text;
        assert!((200..=MAX_SUMMARY).contains(&text.len()), "{text}");
    }
}
