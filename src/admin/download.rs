//! Everything that is stored about one object, as a JSON file.

use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::guard::{Id, Of, Page};
use crate::error::ApiError;

pub async fn data(page: Page, Of(model): Of, Id(id): Id) -> Result<Response, ApiError> {
    let download = model.download.ok_or(ApiError::NotFound)?;
    if !page.staff.downloads(model) {
        return Err(ApiError::NotPermitted);
    }
    let data = (download.make)(&page.app, id).await?.ok_or(ApiError::NotFound)?;
    let text = serde_json::to_string_pretty(&data).map_err(|error| ApiError::Internal(error.to_string()))?;
    let today = page.app.config.business_days().today();
    let name = format!("attachment; filename=\"{}-{id}-{today}.json\"", model.one);
    let headers = [(CONTENT_TYPE, "application/json".to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, text).into_response())
}
