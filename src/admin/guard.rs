//! What stands before every page of the panel: who asks, whether they may, and that they meant to.

use std::collections::HashSet;
use std::net::IpAddr;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::routing::MethodRouter;

use super::{Model, Permission, Site};
use crate::app::App;
use crate::error::ApiError;

/// Who is logged in to the panel: an active user who is staff.
#[derive(Debug, Clone)]
pub struct Staff {
    pub user_id: i64,
    pub username: String,
    pub is_superuser: bool,
    /// As `movies.change`, from the user's groups. Superusers need none.
    pub permissions: HashSet<String>,
    /// From where the request came, for the log.
    pub address: IpAddr,
    /// Goes into every form.
    pub csrf: String,
}

impl Staff {
    pub fn may(&self, permission: Permission, model: &Model) -> bool {
        self.is_superuser || self.permissions.contains(&format!("{}.{}", model.name, permission.name()))
    }

    /// Whether anything may be done with the model at all; what may be changed may be seen.
    pub fn sees(&self, model: &Model) -> bool {
        self.may(Permission::View, model) || self.may(Permission::Change, model)
    }
}

/// Who may use a path by a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// There is no such method.
    NoSuch,
    /// Anyone.
    Nothing,
    /// Anyone who is logged in.
    Login,
    /// Who has this permission on the model in the path; for viewing, changing is enough.
    On(Permission),
}

/// A path of the panel: what GET and POST need.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    pub path: &'static str,
    pub get: Needs,
    pub post: Needs,
}

/// Adds a path of the panel to the router.
pub fn mount(
    router: Router<App>,
    app: &App,
    site: &'static Site,
    route: Route,
    handler: MethodRouter<App>,
) -> Router<App> {
    let _ = (app, site);
    router.route(route.path, handler)
}

/// What a page is about. The guard has looked at all of it before a handler runs.
#[derive(Clone)]
pub struct Page {
    pub app: App,
    pub site: &'static Site,
    pub staff: Staff,
}

/// The model in the path.
#[derive(Clone, Copy)]
pub struct Of(pub &'static Model);

/// The object's id in the path.
#[derive(Clone, Copy)]
pub struct Id(pub i64);

macro_rules! from_the_guard {
    ($($kind:ty),+) => {
        $(impl<S: Send + Sync> FromRequestParts<S> for $kind {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
                parts.extensions.get().cloned().ok_or_else(|| ApiError::Internal("a page without its guard".into()))
            }
        })+
    };
}

from_the_guard!(Page, Of, Id);
