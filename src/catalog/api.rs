//! Movies over HTTP.

use axum::Json;
use axum::extract::State;

use super::{Movie, store};
use crate::app::App;
use crate::error::ApiError;

/// List the movies
///
/// All of them, by id.
#[utoipa::path(
    get, path = "/api/movies/", tag = "Movies", operation_id = "list_movies",
    responses((status = 200, description = "The movies", body = [Movie])),
)]
pub async fn list_movies(State(app): State<App>) -> Result<Json<Vec<Movie>>, ApiError> {
    Ok(Json(store::movies(&app.db).await?))
}
