//! Posters over HTTP.

use std::fmt::Write;

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::store::{self, Size};
use crate::error::ApiError;
use crate::state::App;
use crate::text;
use crate::web::cached::{Lifetime, is_known};

/// Sends a poster as a JPEG file, to everyone. Its path never shows another one. Not in the schema: generators of clients
/// have no use for pictures.
pub async fn get(
    State(app): State<App>,
    path: Result<Path<(String, String)>, PathRejection>,
    asked: HeaderMap,
) -> Result<Response, ApiError> {
    let Path((hash, file)) = path.map_err(|_| ApiError::NotFound)?;
    let size = match file.as_str() {
        "small.jpg" => Size::Small,
        "medium.jpg" => Size::Medium,
        "large.jpg" => Size::Large,
        _ => return Err(ApiError::NotFound),
    };
    if hash.len() != 64 || !hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(ApiError::NotFound);
    }
    let etag = HeaderValue::try_from(format!("\"{hash}-{file}\"")).map_err(|_| ApiError::NotFound)?;
    let is_known = is_known(&asked, &etag);
    let headers = [(ETAG, etag), (CACHE_CONTROL, HeaderValue::from_static(Lifetime::Forever.cache_control()))];
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let file = store::file(&mut &app.db, &hash, size).await?.ok_or(ApiError::NotFound)?;
    Ok((headers, [(CONTENT_TYPE, "image/jpeg")], file).into_response())
}

/// Colours of placeholders: the background, and the shapes on it.
const COLORS: [(&str, &str); 6] = [
    ("#1f3a5f", "#e9c46a"),
    ("#5b2333", "#f4a261"),
    ("#1d4d4f", "#8ecae6"),
    ("#3d2c5e", "#f28482"),
    ("#2f3e2e", "#d4c46a"),
    ("#4a3020", "#9ad1c9"),
];

/// How many characters fit into a line of a placeholder, and how many lines.
const LINE: usize = 15;
const LINES: usize = 6;

#[derive(Template)]
#[template(path = "placeholder.svg", escape = "html")]
struct Placeholder {
    title: String,
    lines: Vec<(usize, String)>,
    background: &'static str,
    shapes: &'static str,
    /// Where the large circle is.
    x: i64,
}

/// Sends a drawing with the title of a movie, which stands for its poster if it has none.
pub async fn get_placeholder(
    State(app): State<App>,
    file: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(file) = file.map_err(|_| ApiError::NotFound)?;
    let id = file.strip_suffix(".svg").filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()));
    let id: i64 = id.and_then(|id| id.parse().ok()).ok_or(ApiError::NotFound)?;
    let (title, _) = store::of_movie(&mut &app.db, id).await?.ok_or(ApiError::NotFound)?;
    let title = text::clean(&title);
    let (background, shapes) = COLORS[id.unsigned_abs() as usize % COLORS.len()];
    let lines = (0..).map(|line| 300 + line * 44).zip(lines(&title)).collect();
    let drawing = Placeholder { title, lines, background, shapes, x: 60 + id % 5 * 70 };
    let svg = drawing.render().map_err(|error| ApiError::Internal(error.to_string()))?;
    // For a title that has changed.
    let headers = [(CACHE_CONTROL, "public, max-age=300"), (CONTENT_SECURITY_POLICY, "default-src 'none'")];
    Ok((headers, [(CONTENT_TYPE, "image/svg+xml")], svg).into_response())
}

/// Breaks a title into lines. Longer words are broken, too.
fn lines(title: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in title.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        for part in letters.chunks(LINE) {
            match lines.last_mut() {
                Some(line) if line.chars().count() + 1 + part.len() <= LINE => {
                    let _ = write!(line, " {}", part.iter().collect::<String>());
                }
                _ => lines.push(part.iter().collect()),
            }
        }
    }
    if lines.len() > LINES {
        lines.truncate(LINES);
        lines.iter_mut().skip(LINES - 1).for_each(|last| last.push('…'));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_broken_into_lines() {
        assert_eq!(lines("The Cartographer's Daughter"), ["The", "Cartographer's", "Daughter"]);
        assert_eq!(lines("Donaudampfschifffahrt"), ["Donaudampfschif", "ffahrt"]);
        assert_eq!(lines("A B"), ["A B"]);
        assert!(lines("").is_empty());
        let long = lines(&"Again ".repeat(100));
        assert_eq!((long.len(), long[5].as_str()), (6, "Again Again…"));
    }
}
