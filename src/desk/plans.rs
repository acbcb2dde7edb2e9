//! The seat plans of shows, read once and kept: a version of a plan never changes.

use std::sync::Arc;

use bytes::Bytes;
use moka::sync::Cache;
use seating::layout::Layout;
use seating::plan::{Plan, SEATS_MAX, Seat};
use serde::Serialize;
use utoipa::ToSchema;

use crate::db::{Db, DbError, Result};

/// The most plans that are kept. A cinema has a few for each screen.
const PLANS_KEPT: u64 = 200;

/// The category of all seats of a show without a seat plan.
pub const ONLY_CATEGORY: &str = "Standard";

/// Names a plan in the API: the id of a version, or `rows-` and a number of seats for the plan of shows without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlanName {
    Version(i64),
    Rows(u32),
}

/// A seat plan in every form that the server needs.
#[derive(Debug)]
pub struct SeatPlan {
    pub name: PlanName,
    /// How many seats there are.
    pub capacity: i64,
    pub layout: Arc<Layout>,
    /// In ascending order of their numbers.
    seats: Vec<SeatDetail>,
    /// The document as JSON, and the same compressed with gzip.
    pub json: Bytes,
    pub gzip: Bytes,
}

/// The description of a seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({ "seat": 47, "label": "C7", "category": "Standard" }))]
pub struct SeatDetail {
    /// The number of the seat.
    #[schema(minimum = 1)]
    pub seat: i64,
    /// The seat as printed on tickets.
    pub label: String,
    /// The kind of seat, which decides about its price.
    pub category: String,
    /// Special features of the seat, such as `wheelchair_space`, `accessible`, `restricted_view` or `love_seat`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub attributes: Vec<String>,
    /// The number of the wheelchair space or accessible seat whose companion sits here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, minimum = 1)]
    pub companion_of: Option<i64>,
}

/// The plans that were used lately.
pub struct Plans(Cache<PlanName, Arc<SeatPlan>>);

impl Default for Plans {
    fn default() -> Self {
        Plans(Cache::new(PLANS_KEPT))
    }
}

impl PlanName {
    /// Returns the name of a show's plan. Without a plan, a show has one of rows, unless it has too many seats for that.
    pub fn of_show(plan_id: Option<i64>, total_seats: i64) -> Option<PlanName> {
        match (plan_id, u32::try_from(total_seats)) {
            (Some(id), _) => Some(PlanName::Version(id)),
            (None, Ok(seats)) if seats as usize <= SEATS_MAX => Some(PlanName::Rows(seats)),
            (None, _) => None,
        }
    }

    pub fn parse(text: &str) -> Option<PlanName> {
        // Only the usual way to write a number, so that a plan has one address.
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| number.to_string() == text);
        match text.strip_prefix("rows-") {
            Some(seats) => number(seats).filter(|seats| *seats as usize <= SEATS_MAX).map(PlanName::Rows),
            None => number(text).filter(|id| *id > 0).map(|id| PlanName::Version(id.into())),
        }
    }
}

impl std::fmt::Display for PlanName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PlanName::Version(id) => write!(f, "{id}"),
            PlanName::Rows(seats) => write!(f, "rows-{seats}"),
        }
    }
}

impl Plans {
    /// Returns the plan of a show; `None` if it has none and too many seats.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn of_show(&self, db: &Db, plan_id: Option<i64>, total_seats: i64) -> Result<Option<Arc<SeatPlan>>> {
        match PlanName::of_show(plan_id, total_seats) {
            Some(name) => self.find(db, name).await,
            None => Ok(None),
        }
    }

    /// Returns the plan with this name; `None` if there is no such version.
    ///
    /// # Errors
    /// Errors of the database; [`DbError::Other`] if the stored document can't be read.
    pub async fn find(&self, db: &Db, name: PlanName) -> Result<Option<Arc<SeatPlan>>> {
        if let Some(plan) = self.0.get(&name) {
            return Ok(Some(plan));
        }
        let plan = match name {
            PlanName::Rows(seats) => Plan::of_seats(seats),
            PlanName::Version(id) => {
                let sql = "SELECT document FROM plans WHERE id = ?";
                let Some((document,)) = db.query_one::<(String,)>(sql, vec![id.into()]).await? else { return Ok(None) };
                let unreadable = |faults| DbError::Other(format!("the document of plan {id}: {faults:?}"));
                seating::json::parse(&document).map_err(unreadable)?
            }
        };
        let plan = Arc::new(SeatPlan::new(name, &plan)?);
        self.0.insert(name, Arc::clone(&plan));
        Ok(Some(plan))
    }
}

impl SeatPlan {
    fn new(name: PlanName, plan: &Plan) -> Result<SeatPlan> {
        let number = |seat: &Seat| seat.seat.map_or(0, i64::from);
        let numbers: std::collections::HashMap<&str, i64> =
            plan.seats().map(|(_, _, seat)| (seat.seat_guid.as_str(), number(seat))).collect();
        let mut seats: Vec<SeatDetail> = plan
            .seats()
            .zip(plan.labels())
            .map(|((_, _, seat), label)| SeatDetail {
                seat: number(seat),
                label,
                category: seat.category.clone(),
                attributes: seat.attributes.words().map(|word| word.replace([' ', '-'], "_")).collect(),
                companion_of: seat.attributes.companion_of.as_deref().and_then(|guid| numbers.get(guid).copied()),
            })
            .collect();
        seats.sort_unstable_by_key(|seat| seat.seat);
        let json = Bytes::from(seating::json::write(plan));
        let gzip = compress(&json).map_err(|error| DbError::Other(error.to_string()))?;
        let layout = Arc::new(Layout::of_plan(plan));
        Ok(SeatPlan { name, capacity: seats.len() as i64, layout, seats, json, gzip })
    }

    /// Returns the description of the seat with this number. A number without a seat, which only old bookings can have,
    /// is its own label.
    pub fn seat(&self, number: i64) -> SeatDetail {
        match self.seats.binary_search_by_key(&number, |seat| seat.seat) {
            Ok(place) => self.seats[place].clone(),
            Err(_) => SeatDetail::of_number(number),
        }
    }

    /// Returns the category of the seat with this number.
    pub fn category(&self, number: i64) -> &str {
        match self.seats.binary_search_by_key(&number, |seat| seat.seat) {
            Ok(place) => &self.seats[place].category,
            Err(_) => ONLY_CATEGORY,
        }
    }

    /// Returns all seats in ascending order of their numbers.
    pub fn seats(&self) -> &[SeatDetail] {
        &self.seats
    }
}

impl SeatDetail {
    /// Returns the seat of a show that has no plan.
    pub fn of_number(seat: i64) -> SeatDetail {
        let category = ONLY_CATEGORY.to_owned();
        SeatDetail { seat, label: seat.to_string(), category, attributes: Vec::new(), companion_of: None }
    }
}

/// Compresses a text with gzip.
///
/// # Errors
/// None are known: it writes to memory.
pub fn compress(text: &[u8]) -> std::io::Result<Bytes> {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    gzip.write_all(text)?;
    gzip.finish().map(Bytes::from)
}
