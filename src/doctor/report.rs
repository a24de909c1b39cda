//! The findings of an examination, as text and as JSON.

use std::fmt;

use serde::Serialize;

use crate::text::one_line;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing is wrong.
    Ok,
    /// The service works, but not as well or as safely as it could.
    Warning,
    /// The service can't work, or can't keep its guarantees.
    Error,
}

/// The result of one check.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub level: Level,
    pub subject: &'static str,
    /// What the check found.
    pub found: String,
    /// What to do about it, unless nothing is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// All findings, in the order of the checks.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub findings: Vec<Finding>,
}

impl Report {
    pub(super) fn ok(&mut self, subject: &'static str, found: impl fmt::Display) {
        self.add(Level::Ok, subject, &found, None);
    }

    pub(super) fn warning(
        &mut self,
        subject: &'static str,
        found: impl fmt::Display,
        advice: impl fmt::Display,
    ) {
        self.add(Level::Warning, subject, &found, Some(&advice));
    }

    pub(super) fn error(
        &mut self,
        subject: &'static str,
        found: impl fmt::Display,
        advice: impl fmt::Display,
    ) {
        self.add(Level::Error, subject, &found, Some(&advice));
    }

    fn add(
        &mut self,
        level: Level,
        subject: &'static str,
        found: &dyn fmt::Display,
        advice: Option<&dyn fmt::Display>,
    ) {
        self.findings.push(Finding {
            level,
            subject,
            found: found.to_string(),
            advice: advice.map(ToString::to_string),
        });
    }

    /// The level of the worst finding.
    pub fn worst(&self) -> Level {
        let levels = self.findings.iter().map(|finding| finding.level);
        levels.max().unwrap_or(Level::Ok)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.findings
            .iter()
            .try_for_each(|finding| writeln!(f, "{finding}"))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            level,
            subject,
            found,
            advice,
        } = self;
        // One line each, even if the database's message has several.
        let found = found.replace('\n', " ");
        let found = one_line(&found);
        write!(f, "{:8} {subject:13} {found}", level.name())?;
        match advice {
            Some(advice) => write!(f, "; {}", one_line(advice)),
            None => Ok(()),
        }
    }
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}
