//! The SQL of bookings: what a batch touches, its write, and a user's list.

use std::collections::HashMap;

use super::rules::{Ask, BookingState, ShowState, State};
use super::{Booking, BookingError};
use crate::db::{Db, FromRow, Result, Row, Statement, Value, repeated};

/// What a batch touches, with the names its replies show.
pub struct Loaded {
    /// The moment that decides, in UTC microseconds.
    pub now: i64,
    shows: HashMap<i64, LoadedShow>,
    bookings: HashMap<i64, LoadedBooking>,
}

struct LoadedShow {
    id: i64,
    movie_title: String,
    screen_name: String,
    state: ShowState,
}

struct LoadedBooking {
    id: i64,
    created_at: i64,
    state: BookingState,
}

impl Loaded {
    /// The part that decides.
    pub fn state(&self) -> State {
        State {
            shows: self.shows.iter().map(|(id, show)| (*id, show.state.clone())).collect(),
            bookings: self.bookings.iter().map(|(id, booking)| (*id, booking.state.clone())).collect(),
        }
    }
}

impl FromRow for LoadedShow {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(LoadedShow {
            id: row.next()?,
            movie_title: row.next()?,
            screen_name: row.next()?,
            state: ShowState {
                date_time: row.next()?,
                total_seats: row.next()?,
                seats_taken: row.next()?,
                taken: Vec::new(),
            },
        })
    }
}

impl FromRow for LoadedBooking {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(LoadedBooking {
            id: row.next()?,
            created_at: row.next()?,
            state: BookingState {
                user_id: row.next()?,
                show_id: row.next()?,
                seat_number: row.next()?,
                booked: row.next::<String>()? == "booked",
            },
        })
    }
}

impl FromRow for Booking {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(Booking {
            id: row.next()?,
            show: row.next()?,
            movie_title: row.next()?,
            screen_name: row.next()?,
            date_time: row.next()?,
            seat_number: row.next()?,
            status: row.next()?,
            created_at: row.next()?,
        })
    }
}

/// Loads the bookings to cancel, the shows touched, and which of the asked seats have a holder.
pub async fn load(db: &Db, asks: &[Ask]) -> Result<Loaded> {
    let mut show_ids: Vec<i64> = Vec::new();
    let mut booking_ids: Vec<Value> = Vec::new();
    let mut seats: Vec<Value> = Vec::new();
    for ask in asks {
        match ask {
            Ask::Book { show_id, seats: asked, .. } => {
                show_ids.push(*show_id);
                seats.extend(asked.iter().flat_map(|seat| [Value::Int(*show_id), Value::Int(*seat)]));
            }
            Ask::Cancel { booking_id, .. } => booking_ids.push((*booking_id).into()),
        }
    }
    let mut loaded = Loaded { now: db.now().await?, shows: HashMap::new(), bookings: HashMap::new() };
    if !booking_ids.is_empty() {
        let sql = format!(
            "SELECT id, created_at, user_id, show_id, seat_number, status FROM bookings WHERE id IN ({})",
            repeated("?", ", ", booking_ids.len())
        );
        for booking in db.query::<LoadedBooking>(&sql, booking_ids).await? {
            show_ids.push(booking.state.show_id);
            loaded.bookings.insert(booking.id, booking);
        }
    }
    if !show_ids.is_empty() {
        let sql = format!(
            "SELECT s.id, m.title, c.name, s.date_time, s.total_seats, s.seats_taken
             FROM shows s JOIN movies m ON m.id = s.movie_id JOIN screens c ON c.id = s.screen_id
             WHERE s.id IN ({})",
            repeated("?", ", ", show_ids.len())
        );
        let ids = show_ids.into_iter().map(Value::Int).collect();
        for show in db.query::<LoadedShow>(&sql, ids).await? {
            loaded.shows.insert(show.id, show);
        }
    }
    if !seats.is_empty() {
        let sql = format!(
            "SELECT show_id, active_seat FROM bookings WHERE {}",
            repeated("(show_id = ? AND active_seat = ?)", " OR ", seats.len() / 2)
        );
        for (show_id, seat) in db.query::<(i64, i64)>(&sql, seats).await? {
            if let Some(show) = loaded.shows.get_mut(&show_id) {
                show.state.taken.push(seat);
            }
        }
    }
    Ok(loaded)
}

/// Writes what was decided, all or nothing, and gives each request its reply.
///
/// The shows come first, in the order of their ids, each guarded against what may have changed since it was loaded: the
/// update holds its row until the commit, so that no one shrinks or starts it meanwhile (the other order deadlocks with
/// the foreign key's shared lock). The unique key `one_holder_per_seat` has the last word on every seat.
pub async fn write(
    db: &Db,
    asks: &[Ask],
    outcomes: Vec<Result<(), BookingError>>,
    loaded: &Loaded,
) -> Result<Vec<Result<Booking, BookingError>>> {
    let mut changes: HashMap<i64, ShowChange> = HashMap::new();
    let mut bookings = Vec::new();
    let mut replies = Vec::with_capacity(asks.len());
    for (ask, outcome) in asks.iter().zip(outcomes) {
        if let Err(refused) = outcome {
            replies.push(Err(refused));
            continue;
        }
        match ask {
            Ask::Book { user_id, show_id, seats } => {
                let change = changes.entry(*show_id).or_default();
                let show = &loaded.shows[show_id];
                for seat in seats {
                    let id = db.next_booking_id().await?;
                    change.taken += 1;
                    change.highest_seat = change.highest_seat.max(*seat);
                    bookings.push(insert(id, *user_id, *show_id, *seat, loaded.now));
                    replies.push(Ok(reply(show, id, *seat, "booked", loaded.now)));
                }
            }
            Ask::Cancel { booking_id, .. } => {
                let booking = &loaded.bookings[booking_id];
                changes.entry(booking.state.show_id).or_default().taken -= 1;
                bookings.push(Statement::changing(
                    1,
                    "UPDATE bookings SET status = 'cancelled', cancelled_at = ? WHERE id = ? AND status = 'booked'",
                    vec![loaded.now.into(), (*booking_id).into()],
                ));
                let show = &loaded.shows[&booking.state.show_id];
                replies.push(Ok(reply(show, *booking_id, booking.state.seat_number, "cancelled", booking.created_at)));
            }
        }
    }
    if !bookings.is_empty() {
        let mut changes: Vec<_> = changes.into_iter().collect();
        changes.sort_unstable_by_key(|(show_id, _)| *show_id);
        let mut statements: Vec<_> =
            changes.into_iter().map(|(show_id, change)| change.statement(show_id, loaded.now)).collect();
        statements.append(&mut bookings);
        db.write(statements).await?;
    }
    Ok(replies)
}

/// What a batch does to a show.
#[derive(Default)]
struct ShowChange {
    taken: i64,
    /// 0 when seats are only given back, which is allowed at any time.
    highest_seat: i64,
}

impl ShowChange {
    fn statement(self, show_id: i64, now: i64) -> Statement {
        let not_started_after = if self.highest_seat > 0 { now } else { i64::MIN };
        Statement::changing(
            1,
            "UPDATE shows SET seats_taken = seats_taken + ?, seat_version = seat_version + 1
             WHERE id = ? AND total_seats >= ? AND date_time > ? AND seats_taken + ? BETWEEN 0 AND total_seats",
            vec![
                self.taken.into(),
                show_id.into(),
                self.highest_seat.into(),
                not_started_after.into(),
                self.taken.into(),
            ],
        )
    }
}

fn insert(id: i64, user_id: i64, show_id: i64, seat: i64, now: i64) -> Statement {
    Statement::changing(
        1,
        "INSERT INTO bookings (id, user_id, show_id, seat_number, status, created_at) VALUES (?, ?, ?, ?, 'booked', ?)",
        vec![id.into(), user_id.into(), show_id.into(), seat.into(), now.into()],
    )
}

fn reply(show: &LoadedShow, id: i64, seat_number: i64, status: &str, created_at: i64) -> Booking {
    Booking {
        id,
        show: show.id,
        movie_title: show.movie_title.clone(),
        screen_name: show.screen_name.clone(),
        date_time: show.state.date_time,
        seat_number,
        status: status.to_owned(),
        created_at,
    }
}

/// All bookings of a user, cancelled ones too, newest first (Y02).
pub async fn bookings_of(db: &Db, user_id: i64) -> Result<Vec<Booking>> {
    db.query(
        "SELECT b.id, b.show_id, m.title, c.name, s.date_time, b.seat_number, b.status, b.created_at
         FROM bookings b JOIN shows s ON s.id = b.show_id JOIN movies m ON m.id = s.movie_id
         JOIN screens c ON c.id = s.screen_id
         WHERE b.user_id = ? ORDER BY b.created_at DESC, b.id DESC",
        vec![user_id.into()],
    )
    .await
}

/// The shows whose count of taken seats is not the number of bookings that hold one; there should be none, ever.
pub async fn shows_with_wrong_counts(db: &Db) -> Result<Vec<i64>> {
    let found: Vec<(i64,)> = db
        .query(
            "SELECT s.id FROM shows s WHERE s.seats_taken <>
             (SELECT COUNT(b.active_seat) FROM bookings b WHERE b.show_id = s.id) ORDER BY s.id",
            vec![],
        )
        .await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}
