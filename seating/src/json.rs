//! Our own JSON, which says everything about a plan. Its names are pretix's, with fields of ours.

use crate::check::check;
use crate::document::{Document, read};
use crate::fault::Fault;
use crate::plan::Plan;

pub use crate::document::JSON_BYTES_MAX;

/// Reads a plan. Neighbours that are left out are derived from the distances of the seats; null means an aisle.
///
/// # Errors
///
/// The faults, each with its path, and with line and column if the document can't be read.
pub fn parse(text: &str) -> Result<Plan, Vec<Fault>> {
    if text.len() > JSON_BYTES_MAX {
        return Err(vec![Fault::of(format!("The document has {} bytes: use at most {JSON_BYTES_MAX}.", text.len()))]);
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let document = read(&mut deserializer, Some(text)).map_err(|fault| vec![fault])?;
    if let Err(error) = deserializer.end() {
        let message = "Something follows the end of the document: remove it.";
        return Err(vec![Fault::at_line(error.line().max(1), error.column().max(1), message)]);
    }
    let mut faults = Vec::new();
    let plan = document.into_plan(&mut faults);
    if faults.is_empty() {
        faults = check(&plan);
    }
    if faults.is_empty() { Ok(plan) } else { Err(faults) }
}

/// Writes a plan in one line, without what a reader derives.
pub fn write(plan: &Plan) -> String {
    // Fails for no plan: its keys are texts, and numbers that are not finite become null.
    serde_json::to_string(&Document::of(plan)).unwrap_or_default()
}
