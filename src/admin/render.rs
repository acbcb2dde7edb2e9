//! Values as people read them.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};

use super::{Model, Site, Staff};
use crate::error::ApiError;

/// What surrounds every page; templates extend `base.html`, which shows it.
pub struct Frame {
    pub site: &'static Site,
    /// None at the login.
    pub staff: Option<Staff>,
    pub model: Option<&'static Model>,
    /// Breadcrumbs: text and URL; the last has none.
    pub path: Vec<(String, String)>,
    /// What was just done.
    pub notes: Vec<String>,
}

impl Frame {
    /// The models that the reader may see, in their groups.
    pub fn menu(&self) -> Vec<(&'static str, Vec<&'static Model>)> {
        let Some(staff) = &self.staff else { return Vec::new() };
        let seen =
            |models: &&'static [&'static Model]| models.iter().copied().filter(|model| staff.sees(model)).collect();
        let groups = self.site.groups.iter().map(|(group, models)| (*group, seen(models)));
        groups.filter(|(_, models): &(_, Vec<_>)| !models.is_empty()).collect()
    }

    pub fn is_in(&self, model: &Model) -> bool {
        self.model.is_some_and(|here| here.name == model.name)
    }
}

/// A page of a template.
pub fn html(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => ApiError::Internal(error.to_string()).into_response(),
    }
}
