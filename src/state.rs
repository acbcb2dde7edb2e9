//! The state of a running server.

use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::HeaderValue;
use bytes::Bytes;
use moka::sync::Cache;
use secrecy::ExposeSecret;
use tokio::sync::OnceCell;

use crate::cache::ReadCache;
use crate::config::Config;
use crate::db::{Db, DbError};
use crate::desk::codes::Codes;
use crate::desk::{ChangedShow, Desk};
use crate::identity::Known;
use crate::identity::password_queue::Passwords;
use crate::identity::throttle::Throttle;
use crate::identity::tokens::TokenKeys;
use crate::long_lists::LongLists;
use crate::orders::store as orders;
use crate::programme::store::Listing;
use crate::tasks::Tasks;

/// The state that every request can reach. It is cheap to clone, because each request clones it many times.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The contents of an [`App`].
pub struct Parts {
    pub db: Db,
    pub desk: Desk,
    pub config: Config,
    pub tokens: TokenKeys,
    pub passwords: Passwords,
    pub throttle: Throttle,
    pub caches: Arc<Caches>,
    pub long_lists: LongLists,
    pub tasks: Tasks,
    /// Loaded on first use.
    pub codes: Arc<OnceCell<Codes>>,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// Caches of reads that many requests share.
pub struct Caches {
    /// Users by id; every request with a token reads one.
    pub users: ReadCache<i64, Option<Known>>,
    /// The list of movies as JSON.
    pub movies: ReadCache<(), Bytes>,
    /// The shows of a movie as JSON; `None` if there is no such movie.
    pub shows: ReadCache<i64, Option<Bytes>>,
    /// The seats of a show; `None` if there is no such show.
    pub seat_maps: ReadCache<i64, Option<Arc<ShowReply>>>,
    /// What the tickets of a show cost; `None` if there is no such show.
    pub prices: ReadCache<i64, Option<Arc<ShowReply>>>,
    /// A show in the programme; `None` if there is no such show.
    pub programme_shows: ReadCache<i64, Option<Arc<ShowReply>>>,
    /// A movie in the programme; `None` if there is no such movie.
    pub programme_movies: ReadCache<i64, Option<Arc<PublicReply>>>,
    pub screens: ReadCache<(), Arc<PublicReply>>,
    /// The shows that the programme lists.
    pub listing: ReadCache<(), Arc<Listing>>,
    /// The last listing that was read, however old it is: the next one only reads what has changed since.
    pub last_listing: Mutex<Arc<Listing>>,
    /// Pages of the programme, by the number of the listing and the query.
    pub listing_pages: Cache<(u64, String), Arc<PublicReply>>,
    /// Why the server is not ready, if it is not.
    pub problem: ReadCache<(), Option<&'static str>>,
}

impl Default for Caches {
    fn default() -> Caches {
        Caches {
            users: ReadCache::new("users"),
            movies: ReadCache::new("movies"),
            shows: ReadCache::new("shows"),
            seat_maps: ReadCache::new("seat_maps"),
            prices: ReadCache::new("prices"),
            programme_shows: ReadCache::new("programme_shows"),
            programme_movies: ReadCache::new("programme_movies"),
            screens: ReadCache::new("screens"),
            listing: ReadCache::new("listing"),
            last_listing: Mutex::default(),
            listing_pages: Cache::builder()
                .max_capacity(PAGES_BYTES_MAX)
                .weigher(|(_, query): &(u64, String), page: &Arc<PublicReply>| page.weight() + query.len() as u32)
                .time_to_idle(Duration::from_secs(60))
                .build(),
            problem: ReadCache::new("readiness"),
        }
    }
}

impl Caches {
    /// Called after a show's seats have changed.
    pub fn show_changed(&self, show: &ChangedShow) {
        self.shows.changed(&show.movie_id);
        self.seat_maps.changed(&show.show_id);
        self.programme_shows.changed(&show.show_id);
    }

    /// Called after any show may have changed.
    pub fn all_shows_changed(&self) {
        self.shows.all_changed();
        self.seat_maps.all_changed();
        self.prices.all_changed();
        self.programme_shows.all_changed();
        self.listing.changed(&());
    }

    /// Called after a movie has changed.
    pub fn movie_changed(&self, id: i64) {
        self.movies.changed(&());
        self.shows.changed(&id);
        self.programme_movies.changed(&id);
        self.programme_shows.all_changed();
        self.listing.changed(&());
    }

    /// Called after a screen or its seat plan has changed.
    pub fn screen_changed(&self) {
        self.screens.changed(&());
        self.all_shows_changed();
    }
}

/// The most bytes that pages of the programme take in memory.
const PAGES_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// A reply that anyone may read and keep.
pub struct PublicReply {
    pub etag: HeaderValue,
    pub json: Bytes,
    pub gzip: Bytes,
}

impl PublicReply {
    /// Returns about how many bytes the reply takes in memory.
    fn weight(&self) -> u32 {
        let bytes = size_of::<PublicReply>() + self.etag.len() + self.json.len() + self.gzip.len();
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }
}

/// A reply about a show.
pub struct ShowReply {
    pub reply: PublicReply,
    /// When a seat or the sales change by themselves, in UTC microseconds.
    pub until: i64,
    /// Only those who send this key may read it; see [`crate::desk::unlisted`].
    pub unlisted_key: Option<String>,
}

impl App {
    /// `secret_key` signs the tokens. Must be called on the runtime that serves.
    pub fn new(config: Config, db: Db, secret_key: &secrecy::SecretString) -> App {
        let caches = Arc::<Caches>::default();
        let changed = Arc::clone(&caches);
        let listener = Arc::new(move |shows: &[ChangedShow]| shows.iter().for_each(|show| changed.show_changed(show)));
        // Shorter than the request timeout, so that a request answered "timeout" was in most cases dropped without a
        // write.
        let patience = config.request_timeout * 2 / 3;
        let codes = Arc::<OnceCell<Codes>>::default();
        let limits = config.limits.clone();
        let known_codes = Arc::clone(&codes);
        let code_of = Arc::new(move |id| known_codes.get().map(|codes| codes.of(id)));
        let desk = Desk::open(&db, config.desk_lanes, patience, limits, code_of, listener);
        let seconds = |lifetime: Duration| lifetime.as_secs().try_into().unwrap_or(i64::MAX);
        App(Arc::new(Parts {
            tokens: TokenKeys::new(
                secret_key.expose_secret().as_bytes(),
                seconds(config.access_token_lifetime),
                seconds(config.refresh_token_lifetime),
            ),
            passwords: Passwords::default(),
            throttle: Throttle::new(
                config.login_failures_per_account,
                config.login_failures_per_address,
                config.login_failure_window,
            ),
            desk,
            caches,
            long_lists: LongLists::default(),
            tasks: Tasks::default(),
            codes,
            db,
            config,
        }))
    }

    /// Returns the codes of this installation's orders.
    ///
    /// # Errors
    /// Errors of the database, which is read only until the key is known.
    pub async fn order_codes(&self) -> Result<&Codes, DbError> {
        let read = async || Ok::<_, DbError>(Codes::new(&orders::code_key(&self.db).await?));
        self.codes.get_or_try_init(read).await
    }

    /// Returns how long a shutdown may take: requests and streams use up their time limits, then each can send its last
    /// bytes.
    pub fn grace(&self) -> Duration {
        self.config.request_timeout.max(self.config.stop_grace) + Duration::from_secs(5)
    }
}
