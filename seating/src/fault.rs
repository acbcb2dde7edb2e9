//! The faults of a plan, and where they are.

use std::fmt;

use crate::check::is_unshowable;

/// The most faults that are listed: more than anyone reads, and few enough to show.
pub const FAULTS_MAX: usize = 100;

/// The longest message, in characters.
const MESSAGE_MAX: usize = 600;

/// Something that a plan's author has to correct.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fault {
    /// One or two sentences: the fault, and what to do.
    pub message: String,
    /// The line of the text, from 1.
    pub line: Option<usize>,
    /// The column of the text in characters, from 1.
    pub column: Option<usize>,
    /// The place in a JSON document, such as `zones[0].rows[2].seats[5].category`.
    pub path: Option<String>,
    /// The guid of the seat that has the fault.
    pub seat: Option<String>,
}

impl Fault {
    pub(crate) fn of(message: impl Into<String>) -> Self {
        let message: String = message.into();
        // Messages quote texts that may contain anything.
        let shown = message.chars().take(MESSAGE_MAX).map(|c| if is_unshowable(c) { '\u{fffd}' } else { c });
        Self { message: shown.collect(), ..Self::default() }
    }

    pub(crate) fn at_line(line: usize, column: usize, message: impl Into<String>) -> Self {
        Self { line: Some(line), column: Some(column), ..Self::of(message) }
    }

    pub(crate) fn at_path(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: Some(path.into()), ..Self::of(message) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column, &self.path) {
            (Some(line), Some(column), _) => write!(f, "Line {line}, column {column}: ")?,
            (Some(line), None, _) => write!(f, "Line {line}: ")?,
            (None, _, Some(path)) if !path.is_empty() => write!(f, "{path}: ")?,
            _ => {}
        }
        f.write_str(&self.message)
    }
}
