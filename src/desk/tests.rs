//! Tests of the desk with a real database and a listener that panics.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::config::DatabaseTarget;

/// A panic while a batch is served fails that batch, and the lane goes on.
#[tokio::test]
async fn a_panic_fails_its_batch_only() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&DatabaseTarget::Sqlite { path: folder.path().join("db") }, 1).unwrap();
    db.migrate().await.unwrap();
    for sql in [
        "INSERT INTO users (id, username, username_key, email, password, date_joined) VALUES (1, 'ann', 'ann', '', '', 0)",
        "INSERT INTO movies (id, title, duration_minutes) VALUES (1, 'The Long Take', 142)",
        "INSERT INTO screens (id, name) VALUES (1, 'Screen 1')",
        "INSERT INTO shows (id, movie_id, screen_id, date_time, total_seats) VALUES (1, 1, 1, 4000000000000000, 9)",
    ] {
        db.execute(sql, vec![]).await.unwrap();
    }
    let panics = Arc::new(AtomicBool::new(true));
    let listener = {
        let panics = Arc::clone(&panics);
        Arc::new(move |_: &[ChangedShow]| assert!(!panics.load(Ordering::SeqCst), "as the test wants it"))
    };
    let desk = Desk::open(&db, 1, Duration::from_secs(5), Limits::default(), Arc::new(|_| None), listener);
    let present = Arc::new(());
    let book = async |seat| {
        let from = Origin { user_id: 1, key: None, client: Arc::downgrade(&present) };
        desk.book(from, 1, seat).await
    };
    let failed = book(1).await.unwrap_err();
    assert!(matches!(failed, BookingError::Db(DbError::Other(_))), "{failed:?}");
    panics.store(false, Ordering::SeqCst);
    assert!(desk.is_open());
    book(2).await.unwrap();
    // The first booking was written before the panic, and the desk sees it.
    assert_eq!(book(1).await.unwrap_err(), BookingError::SeatTaken);
}
