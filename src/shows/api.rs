//! Shows over HTTP.

use axum::extract::State;

use super::{Show, store};
use crate::error::ApiError;
use crate::movies::store::has_movie;
use crate::state::App;
use crate::web::body::RawJson;
use crate::web::endpoint::PathId;

/// List the shows of a movie
///
/// Ordered by time, including past shows, with the number of seats that are available now.
#[utoipa::path(
    get, path = "/api/movies/{movie_id}/shows/", tag = "Movies", operation_id = "list_shows",
    params(("movie_id" = i64, Path, description = "The movie", example = 1, minimum = 1)),
    responses((status = 200, description = "The shows", body = [Show])),
)]
pub async fn list_shows(State(app): State<App>, PathId(movie_id): PathId) -> Result<RawJson, ApiError> {
    let read = async {
        let shows = store::shows_of_movie(&app.db, movie_id).await?;
        if shows.is_empty() && !has_movie(&mut &app.db, movie_id).await? {
            return Ok(None);
        }
        RawJson::of(&shows).map(Some)
    };
    app.caches.shows.get(movie_id, read).await?.map(RawJson).ok_or(ApiError::NotFound)
}
