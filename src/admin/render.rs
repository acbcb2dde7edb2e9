//! The frame around the panel's pages, and its error pages.

use askama::Template;
use axum::response::Response;

use super::{Model, PageLink, Site, Staff};
use crate::state::App;
use crate::web::html::flash::Message;
use crate::web::html::page;

/// The frame around every page; templates extend `base.html`, which shows it.
pub struct Frame {
    pub site: &'static Site,
    /// The name of the cinema.
    pub cinema: String,
    /// None on the login page.
    pub staff: Option<Staff>,
    pub model: Option<&'static Model>,
    /// Breadcrumbs: text and URL; the last one has no URL.
    pub path: Vec<(String, String)>,
    /// Messages about the last change.
    pub messages: Vec<Message>,
}

impl Frame {
    /// Returns the models that the user may see, in their groups.
    pub fn menu(&self) -> Vec<(&'static str, Vec<&'static Model>)> {
        let Some(staff) = &self.staff else { return Vec::new() };
        let seen =
            |models: &&'static [&'static Model]| models.iter().copied().filter(|model| staff.sees(model)).collect();
        let groups = self.site.groups.iter().map(|(group, models)| (*group, seen(models)));
        groups.filter(|(_, models): &(_, Vec<_>)| !models.is_empty()).collect()
    }

    /// Returns the pages of the menu that the user may see and that belong to no model.
    pub fn pages(&self) -> Vec<&'static PageLink> {
        let Some(staff) = &self.staff else { return Vec::new() };
        let sees = |link: &&PageLink| self.site.model(link.model).is_some_and(|model| staff.sees(model));
        self.site.pages.iter().filter(sees).collect()
    }

    pub fn is_at(&self, link: &PageLink) -> bool {
        self.path.last().is_some_and(|(text, _)| text == link.label)
    }

    pub fn is_in(&self, model: &Model) -> bool {
        self.model.is_some_and(|here| here.name == model.name)
    }
}

/// The page of an error.
#[derive(Template)]
#[template(path = "admin/refusal.html")]
struct RefusalPage<'a> {
    frame: Frame,
    heading: &'a str,
    text: &'a str,
    /// Whether repeating the request may succeed.
    passes: bool,
    id: &'a str,
}

/// Adds the panel's headers to a response, and replaces an error in JSON by a page. `id` is the request's, by which it
/// can be found in the server's log.
pub async fn dress(site: &'static Site, app: &App, mut response: Response, id: String) -> Response {
    if page::is_refusal(&response) {
        let staff = response.extensions_mut().remove::<Staff>();
        let cinema = app.config.cinema_name.clone();
        let frame = Frame { site, cinema, staff, model: None, path: Vec::new(), messages: Vec::new() };
        let render = |refusal: &page::Refusal| {
            let page::Refusal { heading, text, passes } = refusal;
            RefusalPage { frame, heading, text, passes: *passes, id: &id }.render().ok()
        };
        response = page::replace_refusal(response, render).await;
    }
    page::add_headers(&mut response);
    response
}
