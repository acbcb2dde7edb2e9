//! The programme over HTTP. Open to everyone; a token is ignored.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

pub use super::filters::PARAMETERS;
use super::filters::Query;
use super::{ProgrammeMovie, ProgrammeScreen, ProgrammeShow, pages, store};
use crate::error::ApiError;
use crate::shows::public;
use crate::state::{App, PublicReply, ShowReply};
use crate::web::body::RawJson;
use crate::web::endpoint::{PathId, ShowKey};
use crate::web::refusal::{FieldErrors, Refusal};

/// One page of a list of shows.
#[derive(Serialize, ToSchema)]
pub struct ShowPage<'a> {
    /// The path of the next page; null on the last page.
    #[schema(required = true, example = "/api/shows/?movie=1&cursor=MjA2NDMzNTQwMDAwMDAwMC4x&limit=50")]
    next: Option<String>,
    results: Vec<ProgrammeShow<'a>>,
}

/// List the shows of all movies
///
/// Open to everyone. Ordered by time and id, in pages: follow `next`. Without `business_day` and `begins_from`, only shows that
/// have not begun. Cancelled shows are not listed. Keep the ETag and send it as `If-None-Match`: if nothing has changed, the
/// reply is 304 without a body. A change by anyone is visible within a second.
#[utoipa::path(
    get, path = "/api/shows/", tag = "Programme", operation_id = "list_programme",
    params(
        ("business_day" = Option<String>, Query, format = Date, description = "Shows of this day in the cinema's programme; one after midnight belongs to the evening before", example = "2035-06-01"),
        ("begins_from" = Option<String>, Query, format = DateTime, description = "Shows that begin at this time or later, such as `2035-06-01T18:30:00Z`"),
        ("begins_before" = Option<String>, Query, format = DateTime, description = "Shows that begin before this time"),
        ("movie" = Option<i64>, Query, description = "Shows of the movie with this id", minimum = 1),
        ("screen" = Option<i64>, Query, description = "Shows on the screen with this id", minimum = 1),
        ("video_format" = Option<String>, Query, description = "Shows in this format, in any letter case, such as `IMAX`", min_length = 1, max_length = 60),
        ("language" = Option<String>, Query, description = "Shows in which people speak this language, a BCP 47 tag: `pt` also finds `pt-BR`", min_length = 1, max_length = 60),
        ("label" = Option<String>, Query, description = "Shows with this label, in any letter case, such as `OmU`", min_length = 1, max_length = 60),
        ("min_free" = Option<i64>, Query, description = "Shows with at least this many free seats", minimum = 0),
        ("cursor" = Option<String>, Query, description = "Taken from `next`"),
        ("limit" = Option<i64>, Query, description = "Shows per page; 50 by default", minimum = 1, maximum = 100),
    ),
    responses(
        (
            status = 200, description = "The shows", body = ShowPage,
            example = json!({ "next": null, "results": [] }),
        ),
        (status = 304, description = "The page has not changed since the one with this ETag"),
        (
            status = 400, description = "A parameter is invalid", body = FieldErrors,
            example = json!({ "business_day": ["Enter a date such as 2035-06-01."] }),
        ),
    ),
)]
pub async fn list_shows(State(app): State<App>, query: RawQuery, headers: HeaderMap) -> Result<Response, ApiError> {
    let query = Query::parse(query.0.as_deref().unwrap_or_default())?;
    Ok(pages::page(&app, &query).await?.response(&headers))
}

/// Get a show
///
/// Open to everyone. A cancelled show stays here when it leaves the lists. An unlisted show needs its key, and is in no list.
#[utoipa::path(
    get, path = "/api/shows/{show_id}/", tag = "Programme", operation_id = "get_show",
    params(
        ("show_id" = i64, Path, description = "The show: an `id` of a list of shows", example = 1, minimum = 1),
        ("key" = Option<String>, Query, description = "The key of an unlisted show"),
    ),
    responses(
        (status = 200, description = "The show", body = ProgrammeShow),
        (status = 304, description = "The show has not changed since the reply with this ETag"),
        (
            status = 404, description = "There is no such show, or it is unlisted and needs its key", body = Refusal,
            example = json!({ "detail": "Not found.", "code": "not_found" }),
        ),
    ),
)]
pub async fn get_show(
    State(app): State<App>,
    PathId(id): PathId,
    key: ShowKey,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    public::respond(&app, &app.caches.programme_shows, id, &key, &headers, || read_show(&app, id)).await
}

async fn read_show(app: &App, id: i64) -> Result<Option<Arc<ShowReply>>, ApiError> {
    let facts = store::facts(&app.db, &[id]).await?.remove(&id);
    let seats = store::seats(&app.db, &[id]).await?.remove(&id);
    let (Some(facts), Some(seats)) = (facts, seats) else { return Ok(None) };
    let (now, config) = (app.desk.now(), &app.config);
    let json = RawJson::of(&ProgrammeShow::of(&facts, &seats, now, config, &config.business_days()))?;
    let until = facts.changes_at(&seats, now, config).unwrap_or(i64::MAX);
    Ok(Some(Arc::new(ShowReply { reply: PublicReply::of_content(json)?, until, unlisted_key: facts.unlisted_key })))
}

/// Get a movie
///
/// Open to everyone.
#[utoipa::path(
    get, path = "/api/movies/{movie_id}/", tag = "Programme", operation_id = "get_movie",
    params(("movie_id" = i64, Path, description = "The movie", example = 1, minimum = 1)),
    responses(
        (status = 200, description = "The movie", body = ProgrammeMovie),
        (status = 304, description = "The movie has not changed since the reply with this ETag"),
        (
            status = 404, description = "There is no such movie", body = Refusal,
            example = json!({ "detail": "Not found.", "code": "not_found" }),
        ),
    ),
)]
pub async fn get_movie(State(app): State<App>, PathId(id): PathId, headers: HeaderMap) -> Result<Response, ApiError> {
    let read = async {
        let Some(facts) = store::movie(&app.db, id).await? else { return Ok(None) };
        let reply = PublicReply::of_content(RawJson::of(&ProgrammeMovie::of(&facts))?)?;
        Ok::<_, ApiError>(Some(Arc::new(reply)))
    };
    let movie = app.caches.programme_movies.get(id, read).await?.ok_or(ApiError::NotFound)?;
    Ok(movie.response(&headers))
}

/// List the screens
///
/// Open to everyone. All screens of the cinema, ordered by name.
#[utoipa::path(
    get, path = "/api/screens/", tag = "Programme", operation_id = "list_screens",
    responses(
        (status = 200, description = "The screens", body = [ProgrammeScreen]),
        (status = 304, description = "The screens have not changed since the reply with this ETag"),
    ),
)]
pub async fn list_screens(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    let read = async {
        let screen = |(id, name, plan, capacity): (i64, String, Option<i64>, Option<i64>)| ProgrammeScreen {
            id,
            name,
            plan: plan.map(|plan| plan.to_string()),
            capacity,
        };
        let screens: Vec<_> = store::screens(&app.db).await?.into_iter().map(screen).collect();
        Ok::<_, ApiError>(Arc::new(PublicReply::of_content(RawJson::of(&screens)?)?))
    };
    Ok(app.caches.screens.get((), read).await?.response(&headers))
}
