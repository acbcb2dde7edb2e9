//! Turns decisions into replies, and into the rows to write before anyone gets them.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::command::{Command, ReplyKind};
use super::error::BookingError;
use super::idempotency::Key;
use super::load::Loaded;
use super::policy::Limits;
use super::reply::{Receipt, StoredReply};
use super::rules::{Decided, Granted};
use super::write::{Change, id_of};
use crate::db::DbError;

/// The outcome of a request.
pub type Outcome = Result<Success, BookingError>;

/// A request that was granted, now or before.
#[derive(Debug, Clone)]
pub enum Success {
    New(Box<Receipt>),
    /// The stored reply to a request with an Idempotency-Key.
    Stored(StoredReply),
}

/// Returns the name of an outcome in the metrics.
pub fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Ok(_) => "granted",
        Err(BookingError::Db(_) | BookingError::Busy | BookingError::Late) => "failed",
        Err(_) => "refused",
    }
}

/// Returns the outcome of each request, and the change to write before it is sent. `ids` are the ids of new rows.
///
/// # Errors
/// [`DbError::Other`] if `decided` does not belong to these requests and to the data that was loaded for them.
pub fn outcomes(
    commands: &[Command],
    keys: &[Option<Key>],
    Decided { outcomes: decided, changes }: Decided,
    loaded: &Loaded,
    ids: &Range<i64>,
    limits: &Limits,
    code_of: &dyn Fn(i64) -> Option<String>,
) -> Result<(Vec<Outcome>, Change), DbError> {
    let mut change = Change::of(loaded, &changes, ids, limits);
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(keys.len());
    let mut first: HashMap<(i64, i64), (usize, i64)> = HashMap::new();
    let mut decided = decided.into_iter();
    for (command, key) in commands.iter().zip(keys) {
        if let Some(key) = key {
            if let Some(stored) = loaded.stored.get(&key.hash) {
                outcomes.push(stored.repeat(key, command, code_of).map(Success::Stored));
                continue;
            }
            // A repeat that arrives before the first request was answered gets the same answer, even if it is a
            // refusal. Another request with this key is always refused.
            if let Some((place, payload)) = first.get(&key.hash) {
                let repeated = outcomes[*place].clone();
                outcomes.push(if *payload == key.payload { repeated } else { Err(BookingError::KeyReused) });
                continue;
            }
            first.insert(key.hash, (outcomes.len(), key.payload));
        }
        let decided = decided.next().ok_or_else(|| DbError::Other("a request was not decided".into()))?;
        outcomes.push(match decided {
            Err(refused) => Err(described(refused, command, loaded)),
            Ok(granted) => {
                let receipt = receipt(granted, command.reply_kind(), loaded, ids, (limits, code_of))?;
                Ok(match key {
                    None => Success::New(Box::new(receipt)),
                    Some(key) => {
                        let (status, body) = (command.success_status(), receipt.json(command.reply_kind())?);
                        change.store_reply(key, status, body.clone());
                        Success::Stored(StoredReply { status, body: body.into() })
                    }
                })
            }
        });
    }
    Ok((outcomes, change))
}

/// Adds a description of the seats that a refusal names.
fn described(refused: BookingError, command: &Command, loaded: &Loaded) -> BookingError {
    let show = command.show().or_else(|| loaded.state.orders.get(&command.subject()).map(|order| order.show_id));
    let Some(facts) = show.and_then(|show| loaded.shows.get(&show)) else { return refused };
    match refused {
        BookingError::SeatsTaken { seats, .. } => {
            let details = facts.describe(&seats);
            BookingError::SeatsTaken { seats, details }
        }
        BookingError::LoneSeat { lone, nearest, .. } => {
            let details = facts.describe(&nearest);
            BookingError::LoneSeat { lone, nearest, details }
        }
        other => other,
    }
}

/// Returns the receipt of a granted request, with ids for new rows.
fn receipt(
    granted: Granted,
    kind: ReplyKind,
    loaded: &Loaded,
    new: &Range<i64>,
    (limits, code_of): (&Limits, &dyn Fn(i64) -> Option<String>),
) -> Result<Receipt, DbError> {
    let Granted { order_id, mut order, mut seat, choice } = granted;
    let id = id_of(order_id, new);
    let facts = loaded.shows.get(&order.show_id);
    let facts = facts.ok_or_else(|| DbError::Other("the show of a request was not loaded".into()))?;
    seat.row = id_of(seat.row, new);
    for seat in &mut order.seats {
        seat.row = id_of(seat.row, new);
    }
    let code = if kind == ReplyKind::Order { code_of(id).unwrap_or_default() } else { String::new() };
    Ok(Receipt { choice, ..Receipt::new((id, code), kind, order, seat, facts, limits) })
}

/// Returns the requests to decide: only the first one with a key, and none whose key has a stored reply.
pub fn fresh<'a>(
    commands: &'a [Command],
    keys: &'a [Option<Key>],
    loaded: &'a Loaded,
) -> impl Iterator<Item = &'a Command> {
    let mut seen = HashSet::new();
    let mut is_first = move |key: &Key| !loaded.stored.contains_key(&key.hash) && seen.insert(key.hash);
    commands.iter().zip(keys).filter(move |(_, key)| key.is_none_or(|key| is_first(&key))).map(|(command, _)| command)
}
