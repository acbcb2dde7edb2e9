//! The cinema over HTTP.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::{Config, MAX_LIST};
use crate::state::App;
use crate::time::cinema::weekday_name;
use crate::time::clock::{self, SECOND};

/// The cinema: its name, its time and its limits.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "name": "Marquee", "time_zone": "Europe/Berlin", "business_day_starts_at": "05:00",
    "film_week_starts_on": "thursday", "currency": "EUR", "currency_decimals": 2,
    "now": "2026-11-22T20:33:56.164058Z", "hold_minutes": 8, "has_sales_rules": true,
    "limits": {
        "hold_limit_minutes": 24, "hold_seats_per_user": 20, "holds_per_user": 4, "holds_per_minute": 30,
        "changes_per_user_per_minute": 600, "seats_per_request": 50, "seats_per_order": 10
    }
}))]
pub struct Cinema {
    name: String,
    /// The name of the time zone in the IANA database. Show people all times in it, wherever they are.
    time_zone: String,
    /// The local time at which the cinema's day begins: an earlier show belongs to the day before.
    #[schema(pattern = "^[0-2][0-9]:[0-5][0-9]$")]
    business_day_starts_at: String,
    /// The weekday on which new films start: `monday` to `sunday`.
    #[schema(pattern = "^[a-z]+day$")]
    film_week_starts_on: &'static str,
    /// The currency of all prices, by its code in ISO 4217.
    #[schema(pattern = "^[A-Z]{3}$")]
    currency: &'static str,
    /// How many digits of an amount follow the decimal point. Amounts are in the smallest unit: 1250 are 12.50 euros.
    #[schema(minimum = 0)]
    currency_decimals: usize,
    /// The server's time, to compare a client's clock with.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    now: i64,
    /// How long seats are held, and how long after each extension.
    #[schema(minimum = 1)]
    hold_minutes: i64,
    /// Whether the cinema limits when seats can be bought or cancelled, or how many. A show can have limits of its own.
    has_sales_rules: bool,
    limits: CinemaLimits,
}

/// The limits for one user, named like the settings. A limit that is not set is left out.
#[derive(Serialize, ToSchema)]
pub struct CinemaLimits {
    /// The maximum duration of a hold, including all extensions.
    hold_limit_minutes: i64,
    /// Seats held for a show at the same time.
    hold_seats_per_user: i64,
    /// Holds for a show at the same time.
    holds_per_user: i64,
    /// Holds created in a minute.
    holds_per_minute: i64,
    /// Bookings, holds and changes of holds in a minute.
    changes_per_user_per_minute: u32,
    /// Seats that a request can name.
    seats_per_request: usize,
    /// Days before a show at which its sales open.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false)]
    sales_open_days: Option<i64>,
    /// Minutes before a show at which its sales close.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false)]
    sales_close_minutes: Option<i64>,
    /// Seats in an order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false)]
    seats_per_order: Option<i64>,
    /// Seats for a show, both booked and held.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false)]
    seats_per_user: Option<i64>,
    /// Minutes before a show until which bookings can be cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false)]
    cancel_until_minutes: Option<i64>,
}

const MINUTE: i64 = 60 * SECOND;

impl Cinema {
    /// Returns the cinema as it is configured. `now` is in UTC microseconds.
    fn of(config: &Config, now: i64) -> Cinema {
        let limits = &config.limits;
        let minutes = |micros: i64| micros / MINUTE;
        let limits = CinemaLimits {
            hold_limit_minutes: minutes(limits.hold_in_all),
            hold_seats_per_user: limits.held_seats,
            holds_per_user: limits.holds,
            holds_per_minute: limits.holds_per_minute,
            changes_per_user_per_minute: limits.changes_per_minute,
            seats_per_request: MAX_LIST,
            sales_open_days: limits.opens_before.map(|micros| minutes(micros) / (24 * 60)),
            sales_close_minutes: limits.closes_before.map(minutes),
            seats_per_order: limits.order_seats,
            seats_per_user: limits.user_seats,
            cancel_until_minutes: limits.cancel_before.map(minutes),
        };
        let rules = [
            limits.sales_open_days,
            limits.sales_close_minutes,
            limits.seats_per_order,
            limits.seats_per_user,
            limits.cancel_until_minutes,
        ];
        Cinema {
            name: config.cinema_name.clone(),
            time_zone: config.time_zone.iana_name().unwrap_or("UTC").to_owned(),
            business_day_starts_at: config.business_day_starts_at.strftime("%H:%M").to_string(),
            film_week_starts_on: weekday_name(config.film_week_starts_on),
            currency: config.currency.code(),
            currency_decimals: config.currency.decimals(),
            now,
            hold_minutes: minutes(config.limits.hold.min(config.limits.hold_in_all)),
            has_sales_rules: rules.iter().any(Option::is_some),
            limits,
        }
    }
}

/// Get the cinema
///
/// Open to everyone: what an app needs to show times and explain limits.
#[utoipa::path(
    get, path = "/api/cinema/", tag = "Cinema", operation_id = "get_cinema",
    responses((status = 200, description = "The cinema", body = Cinema)),
)]
pub async fn get(State(app): State<App>) -> Json<Cinema> {
    Json(Cinema::of(&app.config, app.desk.now()))
}
