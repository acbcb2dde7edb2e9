//! The SQL of seat plans and blocked seats.

use std::collections::{BTreeSet, HashMap};

use seating::identity::{keep_identities, number_seats};
use seating::json;
use seating::plan::Plan;

use crate::db::{DbError, FromRow, Query, Result, Row, Tx, Value};
use crate::time::clock;

/// A version of a screen's plan.
#[derive(Debug, Clone)]
pub struct PlanVersion {
    pub id: i64,
    /// Counts the versions of the screen's plan, from 1.
    pub version: i64,
    /// How many seats there are.
    pub seats: i64,
    /// The highest number of a seat of this or an earlier version.
    pub highest_seat: i64,
    /// In UTC microseconds.
    pub created_at: i64,
}

impl FromRow for PlanVersion {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(PlanVersion {
            id: row.take()?,
            version: row.take()?,
            seats: row.take()?,
            highest_seat: row.take()?,
            created_at: row.take()?,
        })
    }
}

/// Returns the versions of a screen's plan, newest first. The first one is the one that new shows get.
pub async fn versions(reader: &mut impl Query, screen_id: i64) -> Result<Vec<PlanVersion>> {
    let sql =
        "SELECT id, version, seats, highest_seat, created_at FROM plans WHERE screen_id = ? ORDER BY version DESC";
    reader.query(sql, vec![screen_id.into()]).await
}

/// Returns the document of a version, and the text that it was written as, which may be empty.
///
/// # Errors
/// Errors of the database; [`DbError::Other`] if the document can't be read.
pub async fn document(reader: &mut impl Query, id: i64) -> Result<Option<(Plan, String)>> {
    let sql = "SELECT document, source FROM plans WHERE id = ?";
    let found: Option<(String, String)> = reader.query_one(sql, vec![id.into()]).await?;
    let Some((document, source)) = found else { return Ok(None) };
    let plan = json::parse(&document).map_err(|faults| DbError::Other(format!("plan {id}: {faults:?}")))?;
    Ok(Some((plan, source)))
}

/// The highest number that a seat can have, as many as a show can have seats.
pub const SEAT_NUMBER_MAX: u32 = 100_000;

/// Gives the seats of a plan the guids and numbers that they get as the version after `last`. The first version keeps the
/// numbers that it has, if it can.
fn identify(last: Option<(&PlanVersion, &Plan)>, plan: &mut Plan) {
    let Some((last, previous)) = last else {
        let given: Vec<u32> = plan.seats().filter_map(|(_, _, seat)| seat.seat).collect();
        let distinct: BTreeSet<u32> = given.iter().copied().collect();
        let in_range = given.iter().all(|number| (1..=SEAT_NUMBER_MAX).contains(number));
        if distinct.len() < given.len() || !in_range {
            let rows = plan.zones.iter_mut().flat_map(|zone| &mut zone.rows);
            rows.flat_map(|row| &mut row.seats).for_each(|seat| seat.seat = None);
        }
        return number_seats(plan, 0);
    };
    keep_identities(previous, plan);
    number_seats(plan, u32::try_from(last.highest_seat).unwrap_or_default());
}

/// Returns the current version of a screen's plan.
async fn current(reader: &mut impl Query, screen_id: i64) -> Result<Option<(PlanVersion, Plan)>> {
    let Some(last) = versions(reader, screen_id).await?.into_iter().next() else { return Ok(None) };
    let found = document(reader, last.id).await?;
    Ok(found.map(|(plan, _)| (last, plan)))
}

/// Checks whether [`publish`] would add no version, because the screen's current plan is this one.
pub async fn is_current(reader: &mut impl Query, screen_id: i64, mut plan: Plan) -> Result<bool> {
    let Some((last, previous)) = current(reader, screen_id).await? else { return Ok(false) };
    identify(Some((&last, &previous)), &mut plan);
    Ok(plan == previous)
}

/// Adds a version of a screen's plan, which new shows on the screen get from now on. A seat that stays, as
/// [`keep_identities`] finds out, keeps its guid and number. A first version keeps the numbers of its document, if they
/// are unique and positive. Returns the current version if the plan is the same.
pub async fn publish(tx: &mut Tx, screen_id: i64, mut plan: Plan, source: &str) -> Result<PlanVersion> {
    // Two people who save at the same time get one version after the other.
    tx.execute(
        "UPDATE screens SET words_version = CASE WHEN words_version = version THEN version + 1 END,
         version = version + 1 WHERE id = ?",
        vec![screen_id.into()],
    )
    .await?;
    let last = current(tx, screen_id).await?;
    identify(last.as_ref().map(|(last, previous)| (last, previous)), &mut plan);
    if let Some((last, previous)) = &last
        && plan == *previous
    {
        return Ok(last.clone());
    }
    let last = last.map(|(last, _)| last);
    let numbers: BTreeSet<i64> = plan.seats().filter_map(|(_, _, seat)| seat.seat.map(i64::from)).collect();
    let before = last.as_ref().map_or(0, |last| last.highest_seat);
    let highest_seat = numbers.last().copied().unwrap_or_default().max(before);
    let retired: Vec<i64> = (1..=highest_seat).filter(|number| !numbers.contains(number)).collect();
    let version = last.map_or(0, |last| last.version) + 1;
    let created_at = clock::now();
    let retired = serde_json::to_string(&retired).map_err(|error| DbError::Other(error.to_string()))?;
    let id = tx
        .insert(
            "INSERT INTO plans (screen_id, version, seats, highest_seat, retired, document, source, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            vec![
                screen_id.into(),
                version.into(),
                (numbers.len() as i64).into(),
                highest_seat.into(),
                retired.into(),
                json::write(&plan).into(),
                source.into(),
                created_at.into(),
            ],
        )
        .await?;
    tx.execute("UPDATE screens SET plan_id = ? WHERE id = ?", vec![id.into(), screen_id.into()]).await?;
    Ok(PlanVersion { id, version, seats: numbers.len() as i64, highest_seat, created_at })
}

/// A seat of a show that staff have blocked.
#[derive(Debug, Clone)]
pub struct BlockedSeat {
    pub seat: i64,
    /// The name of a [`crate::desk::command::BlockKind`].
    pub kind: String,
    pub reason: String,
    /// In UTC microseconds; `None` if staff release it.
    pub release_at: Option<i64>,
    pub blocked_at: i64,
    /// The id of the user; 0 if it was blocked when the show was made.
    pub blocked_by: i64,
}

impl FromRow for BlockedSeat {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(BlockedSeat {
            seat: row.take()?,
            kind: row.take()?,
            reason: row.take()?,
            release_at: row.take()?,
            blocked_at: row.take()?,
            blocked_by: row.take()?,
        })
    }
}

/// Returns the blocked seats of a show, ordered by number, with those that the screen no longer has. Blocks whose time is
/// up are left out.
pub async fn blocked_seats(reader: &mut impl Query, show_id: i64, now: i64) -> Result<Vec<BlockedSeat>> {
    let sql = "SELECT seat_number, kind, reason, release_at, blocked_at, blocked_by FROM blocked_seats
               WHERE show_id = ? AND COALESCE(release_at, ?) > ? ORDER BY seat_number";
    reader.query(sql, vec![show_id.into(), (now + 1).into(), now.into()]).await
}

/// Returns the numbers of the seats of a show that are booked, or held at this time.
pub async fn taken_seats(reader: &mut impl Query, show_id: i64, now: i64) -> Result<Vec<i64>> {
    let sql = "SELECT b.active_seat FROM bookings b LEFT JOIN orders o ON o.id = b.order_id
               WHERE b.show_id = ? AND b.active_seat >= 1 AND b.status <> 'blocked'
               AND COALESCE(o.expires_at, ?) > ? ORDER BY b.active_seat";
    let found: Vec<(i64,)> = reader.query(sql, vec![show_id.into(), (now + 1).into(), now.into()]).await?;
    Ok(found.into_iter().map(|(seat,)| seat).collect())
}

/// Returns the numbers of the seats that are booked, or held at this time, by the show.
pub async fn all_taken_seats(tx: &mut Tx, show_ids: &[i64], now: i64) -> Result<HashMap<i64, Vec<i64>>> {
    let sql = format!(
        "SELECT {} b.show_id, b.active_seat FROM {} AS d JOIN bookings b ON b.show_id = d.id
         LEFT JOIN orders o ON o.id = b.order_id
         WHERE b.active_seat >= 1 AND b.status <> 'blocked' AND COALESCE(o.expires_at, ?) > ?
         ORDER BY b.show_id, b.active_seat",
        tx.dialect().in_order(),
        tx.dialect().table(&[("id", "BIGINT")])
    );
    let ids: Vec<(i64,)> = show_ids.iter().map(|id| (*id,)).collect();
    let mut seats: HashMap<i64, Vec<i64>> = HashMap::new();
    let found: Vec<(i64, i64)> = tx.query(&sql, vec![Value::list(&ids), (now + 1).into(), now.into()]).await?;
    for (show, seat) in found {
        seats.entry(show).or_default().push(seat);
    }
    Ok(seats)
}

/// Returns the ids of the shows on a screen that have not begun, are not cancelled, and have another version of the plan
/// than this one, ordered by time: at most `most` after the first `skipped`.
pub async fn shows_with_another_plan(
    reader: &mut impl Query,
    screen_id: i64,
    plan_id: i64,
    skipped: i64,
    most: i64,
) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM shows WHERE screen_id = ? AND date_time > ? AND cancelled_at IS NULL
               AND (plan_id IS NULL OR plan_id <> ?) ORDER BY date_time, id LIMIT ? OFFSET ?";
    let params = [screen_id, clock::now(), plan_id, most, skipped].map(Value::from).to_vec();
    let found: Vec<(i64,)> = reader.query(sql, params).await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// Returns the time of the clock that ends holds and blocks, in UTC microseconds.
pub async fn now(tx: &mut Tx) -> Result<i64> {
    let sql = format!("SELECT {}", tx.dialect().now_or("?"));
    let found: Option<(i64,)> = tx.query_one(&sql, vec![clock::now().into()]).await?;
    Ok(found.map_or_else(clock::now, |(now,)| now))
}

/// Locks a show until the transaction ends, and makes decisions about it fail that were made before.
pub async fn lock_show(tx: &mut Tx, show_id: i64) -> Result<()> {
    let sql = "UPDATE shows SET version = version + 1, seat_version = seat_version + 1 WHERE id = ?";
    tx.execute(sql, vec![show_id.into()]).await?;
    Ok(())
}

/// Gives a show the seats of a screen.
pub async fn put_plan(tx: &mut Tx, show_id: i64, to: &crate::shows::store::ScreenSeats) -> Result<()> {
    let sql = "UPDATE shows SET plan_id = ?, total_seats = ? WHERE id = ?";
    tx.execute(sql, vec![to.plan_id.into(), to.highest_seat.into(), show_id.into()]).await?;
    Ok(())
}

/// Replaces the standing blocks of a screen.
pub async fn put_standing_blocks(
    tx: &mut Tx,
    screen_id: i64,
    blocks: &[crate::shows::store::StandingBlock],
) -> Result<()> {
    tx.execute("DELETE FROM standing_blocks WHERE screen_id = ?", vec![screen_id.into()]).await?;
    for block in blocks {
        let sql = "INSERT INTO standing_blocks (screen_id, seat_number, kind, reason, release_minutes) VALUES (?, ?, ?, ?, ?)";
        let params = vec![
            screen_id.into(),
            block.seat.into(),
            block.kind.name().into(),
            block.reason.clone().into(),
            block.release_minutes.into(),
        ];
        tx.execute(sql, params).await?;
    }
    Ok(())
}
