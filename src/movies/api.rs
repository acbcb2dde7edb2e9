//! Movies over HTTP.

use axum::extract::State;

use super::{Movie, store};
use crate::error::ApiError;
use crate::state::App;
use crate::web::body::RawJson;

/// List the movies
///
/// All movies, ordered by id.
#[utoipa::path(
    get, path = "/api/movies/", tag = "Movies", operation_id = "list_movies",
    responses((status = 200, description = "The movies", body = [Movie])),
)]
pub async fn list_movies(State(app): State<App>) -> Result<RawJson, ApiError> {
    let read = async { RawJson::of(&store::movies(&app.db).await?) };
    Ok(RawJson(app.caches.movies.get((), read).await?))
}
