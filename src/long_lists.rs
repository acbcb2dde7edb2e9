//! Lists of up to thousands of rows are read and written out on threads of their own, a few at a time: in between, the
//! workers serve everyone else.

use std::future::Future;
use std::sync::Arc;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Semaphore};

use crate::error::ApiError;

/// How many queues the users share; each user waits in one of them.
const QUEUES: usize = 64;

/// The places where long lists are read.
#[derive(Clone)]
pub struct LongLists {
    /// One list at a time for each user, so that nobody fills the places by asking often.
    queues: Arc<[Arc<Mutex<()>>]>,
    places: Arc<Semaphore>,
}

impl Default for LongLists {
    fn default() -> Self {
        // Half of the processors, since bookings need the rest.
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        LongLists {
            queues: (0..QUEUES).map(|_| Arc::default()).collect(),
            places: Arc::new(Semaphore::new((processors / 2).max(1))),
        }
    }
}

impl LongLists {
    /// The list as a JSON reply, when it is the user's turn. A client that leaves gives up its turn.
    ///
    /// # Errors
    /// Those of `list`.
    pub async fn reply<T: Serialize>(
        &self,
        user_id: i64,
        list: impl Future<Output = Result<T, ApiError>> + Send + 'static,
    ) -> Result<Response, ApiError> {
        let internal = ApiError::Internal;
        let queue = usize::try_from(user_id.rem_euclid(QUEUES as i64)).unwrap_or(0);
        let turn = Arc::clone(&self.queues[queue]).lock_owned().await;
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|error| internal(error.to_string()))?;
        let runtime = Handle::current();
        let written = tokio::task::spawn_blocking(move || {
            // Kept until the list is written, even if the client disconnects before that.
            let _kept = (turn, place);
            runtime.block_on(async { serde_json::to_vec(&list.await?).map_err(|error| internal(error.to_string())) })
        });
        let json = written.await.map_err(|error| internal(error.to_string()))??;
        Ok(([(CONTENT_TYPE, "application/json")], json).into_response())
    }
}
