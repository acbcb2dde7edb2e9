//! Posters of movies. A picture that someone uploads is decoded, shrunk to three sizes and encoded again; the database
//! keeps the three files under the hash of the largest one.

pub mod api;
pub mod image;
pub mod pages;
pub mod store;

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use self::image::Unusable;
use crate::jobs::{Job, Progress};

/// The largest file that can be uploaded, in bytes.
pub const FILE_MAX: usize = 10_000_000;

/// A poster as JPEG files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poster {
    /// The SHA-256 of the large file, in hexadecimal digits.
    pub hash: String,
    /// The size of the large file, in pixels.
    pub width: u32,
    pub height: u32,
    pub small: Vec<u8>,
    pub medium: Vec<u8>,
    pub large: Vec<u8>,
}

/// The paths of a movie's poster in three sizes, each a JPEG file that never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PosterUrls {
    /// At most 200 pixels wide and 300 high.
    pub small: String,
    /// At most 500 pixels wide and 750 high.
    pub medium: String,
    /// At most 1,000 pixels wide and 1,500 high.
    pub large: String,
}

/// Returns the paths of the poster with this hash; none if the hash is empty, as for a movie without a poster.
pub fn poster_urls(hash: &str) -> Option<PosterUrls> {
    let url = |size: &str| format!("/posters/{hash}/{size}.jpg");
    (!hash.is_empty()).then(|| PosterUrls { small: url("small"), medium: url("medium"), large: url("large") })
}

/// Returns the path of the drawing that stands for the poster of a movie without one.
pub fn placeholder_url(movie_id: i64) -> String {
    format!("/posters/placeholder/{movie_id}.svg")
}

fn hash(file: &[u8]) -> String {
    Sha256::digest(file).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Decoding takes much memory, so one picture is decoded at a time.
static DECODER: Semaphore = Semaphore::const_new(1);

/// Makes a poster of an uploaded file, on a thread of its own.
///
/// # Errors
/// [`Unusable`] if the file is no picture that can be a poster.
pub async fn read_upload(file: Bytes) -> Result<Poster, Unusable> {
    let place = DECODER.acquire().await;
    // The thread has the place until it is done, even if nobody waits for it any more.
    let work = move || {
        let _place = place;
        image::read_upload(file)
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| {
        tracing::error!(%panic, "a library panicked while it decoded a picture");
        Err(Unusable::Damaged)
    })
}

/// Deletes posters that no movie has any more.
pub const CLEANUP: Job = Job {
    name: "posters",
    interval: Duration::from_secs(3_600),
    lease: Duration::from_secs(60),
    pause: Duration::from_secs(1),
    step: |db, lease| {
        Box::pin(async move {
            lease.write(db, vec![store::delete_unused(db.dialect())]).await?;
            Ok(Progress::Done)
        })
    },
};
