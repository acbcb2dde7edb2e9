//! Replies about a show that anyone may read, unless it is unlisted.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::Response;

use crate::cache::ReadCache;
use crate::desk::unlisted;
use crate::error::ApiError;
use crate::state::{App, ShowReply};
use crate::web::endpoint::ShowKey;

/// What a reply about a show is kept in.
type Replies = ReadCache<i64, Option<Arc<ShowReply>>>;

/// Returns the reply about a show for a client that sent this key; `make` makes it if `replies` has none, or if a seat or
/// the sales have changed by themselves since.
///
/// # Errors
/// [`ApiError::NotFound`] if there is no such show, or if it is unlisted and the key is not its own; errors of `make`.
pub async fn respond<F>(
    app: &App,
    replies: &Replies,
    show_id: i64,
    sent: &ShowKey,
    asked: &HeaderMap,
    make: impl Fn() -> F,
) -> Result<Response, ApiError>
where
    F: Future<Output = Result<Option<Arc<ShowReply>>, ApiError>>,
{
    let mut found = replies.get(show_id, make()).await?.ok_or(ApiError::NotFound)?;
    if found.until <= app.desk.now() {
        replies.changed(&show_id);
        found = replies.get(show_id, make()).await?.ok_or(ApiError::NotFound)?;
    }
    match unlisted::opens(found.unlisted_key.as_deref(), sent.0.as_deref()) {
        true => Ok(found.reply.response(asked)),
        false => Err(ApiError::NotFound),
    }
}
