//! The pages of a screen's seat plan in the panel: the editor, import and export, the versions, and the shows that still
//! have an earlier one.

pub mod editor;
pub mod import;
pub mod preview;
mod publish;
mod rows;
pub mod shows;
pub mod versions;

use seating::loss::Loss;
use seating::plan::Plan;

use super::store::{self, PlanVersion};
use crate::admin::Model;
use crate::admin::Permission::Change;
use crate::admin::guard::Page;
use crate::admin::query::objects::{self, Reader};
use crate::admin::render::Frame;
use crate::error::ApiError;
use crate::time::cinema;

/// The screen whose plan a page is about.
struct Screen {
    model: &'static Model,
    id: i64,
    name: String,
    /// Newest first.
    versions: Vec<PlanVersion>,
    /// Whether the user may change its plan.
    is_editable: bool,
}

impl Screen {
    /// Finds the screen in the path. Only screens have seat plans.
    async fn find(page: &Page, model: &'static Model, id: i64) -> Result<Screen, ApiError> {
        if model.name != "screens" {
            return Err(ApiError::NotFound);
        }
        let object = objects::object(Reader::Db(&page.app), model, id).await?.ok_or(ApiError::NotFound)?;
        let versions = store::versions(&mut &page.app.db, id).await?;
        Ok(Screen { model, id, name: object.label, versions, is_editable: page.staff.may(Change, model) })
    }

    /// Returns the number of the current version; 0 if the screen has no plan yet.
    fn current(&self) -> i64 {
        self.versions.first().map_or(0, |version| version.version)
    }

    /// Returns the URL of a page about the plan, such as `shows/`; empty for the editor.
    fn url(&self, page: &str) -> String {
        format!("/admin/{}/{}/plan/{page}", self.model.name, self.id)
    }

    /// Returns the frame around a page; `title` is empty for the editor.
    fn frame(&self, page: &Page, title: &str) -> Frame {
        let mut path = vec![
            ("Screens".to_owned(), format!("/admin/{}/", self.model.name)),
            (self.name.clone(), format!("/admin/{}/{}/change/", self.model.name, self.id)),
            ("Seat plan".to_owned(), String::new()),
        ];
        if !title.is_empty() {
            path[2].1 = self.url("");
            path.push((title.to_owned(), String::new()));
        }
        page.frame(Some(self.model), path)
    }

    /// Returns the version with this number, as in a URL.
    fn version(&self, number: &str) -> Result<&PlanVersion, ApiError> {
        let number: i64 = number.parse().map_err(|_| ApiError::NotFound)?;
        self.versions.iter().find(|version| version.version == number).ok_or(ApiError::NotFound)
    }

    /// Returns the document of a version, and its text. The losses are those of a version that was not written as a text.
    async fn read(&self, page: &Page, version: &PlanVersion) -> Result<(Plan, String, Vec<Loss>), ApiError> {
        let (plan, source) = store::document(&mut &page.app.db, version.id).await?.ok_or(ApiError::NotFound)?;
        if !source.is_empty() {
            return Ok((plan, source, Vec::new()));
        }
        let (text, losses) = seating::grid::write(&plan);
        Ok((plan, text, losses))
    }

    fn lines(&self, page: &Page) -> Vec<VersionLine> {
        let line = |version: &PlanVersion| VersionLine {
            version: version.version,
            seats: version.seats,
            created_at: cinema::minute(version.created_at, &page.app.config.time_zone),
        };
        self.versions.iter().map(line).collect()
    }
}

/// A version in the list of versions.
struct VersionLine {
    version: i64,
    seats: i64,
    created_at: String,
}

/// Returns a version in words, for messages and the log.
fn in_words(version: &PlanVersion) -> String {
    format!("version {}, {}", version.version, counted(version.seats, "seat"))
}

fn counted(count: i64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Returns the text of a form with line breaks as we store them: browsers send two characters for each.
fn with_plain_breaks(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}
