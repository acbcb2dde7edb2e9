//! Section 12: cancelling.

use super::rows::{Row, row};

pub fn rows() -> Vec<Row> {
    vec![
        row(
            "C01",
            "cancel: the booking comes back as cancelled",
            &[
                (r#"POST /api/shows/1/book/ {"seat_number":6}"#, "201 Booking(<a>, show 1, seat 6, booked)"),
                ("POST /api/bookings/<a>/cancel/", "200 Booking(<a>, show 1, seat 6, cancelled)"),
            ],
        ),
        row(
            "C02",
            "cancel twice",
            &[
                (r#"POST /api/shows/1/book/ {"seat_number":6}"#, "201 Booking(<a>, show 1, seat 6, booked)"),
                ("POST /api/bookings/<a>/cancel/", "200 Booking(<a>, show 1, seat 6, cancelled)"),
                ("POST /api/bookings/<a>/cancel/", r#"409 {"detail":"This booking is already cancelled."}"#),
            ],
        ),
        row(
            "C03",
            "another user's booking, which stays as it was",
            &[
                (r#"POST /api/shows/1/book/ {"seat_number":6}"#, "201 Booking(<a>, show 1, seat 6, booked)"),
                (
                    "POST /api/bookings/<a>/cancel/ — as bob",
                    r#"403 {"detail":"You do not have permission to perform this action."}"#,
                ),
                (
                    "GET /api/my-bookings/",
                    "200 [ Booking(<a>, show 1, seat 6, booked); Booking(<b>, show 1, seat 6, cancelled); Booking(<c>, show 1, seat 6, cancelled) … ]",
                ),
            ],
        ),
        row(
            "C04",
            "another user's cancelled booking",
            &[
                (r#"POST /api/shows/1/book/ {"seat_number":6}"#, "201 Booking(<a>, show 1, seat 6, booked)"),
                ("POST /api/bookings/<a>/cancel/", "200 Booking(<a>, show 1, seat 6, cancelled)"),
                (
                    "POST /api/bookings/<a>/cancel/ — as bob",
                    r#"403 {"detail":"You do not have permission to perform this action."}"#,
                ),
            ],
        ),
        row("C05", "unknown booking", &[("POST /api/bookings/999999999/cancel/", r#"404 {"detail":"Not found."}"#)]),
        row(
            "C06",
            "booking id beyond 64 bits",
            &[("POST /api/bookings/99999999999999999999999/cancel/", r#"404 {"detail":"Not found."}"#)],
        ),
        row("C07", "booking id that is not a number", &[("POST /api/bookings/abc/cancel/", "404")]),
        row(
            "C08",
            "the body is not looked at",
            &[
                (r#"POST /api/shows/1/book/ {"seat_number":6}"#, "201 Booking(<a>, show 1, seat 6, booked)"),
                ("POST /api/bookings/<a>/cancel/ {bad", "200 Booking(<a>, show 1, seat 6, cancelled)"),
                (r#"POST /api/shows/1/book/ {"seat_number":6}"#, "201 Booking(<b>, show 1, seat 6, booked)"),
                (
                    "POST /api/bookings/<b>/cancel/ x — Content-Type: text/plain",
                    "200 Booking(<b>, show 1, seat 6, cancelled)",
                ),
            ],
        ),
        row(
            "C09",
            "a JSON body is ignored",
            &[
                (r#"POST /api/shows/1/book/ {"seat_number":6}"#, "201 Booking(<a>, show 1, seat 6, booked)"),
                (
                    r#"POST /api/bookings/<a>/cancel/ {"status":"booked"}"#,
                    "200 Booking(<a>, show 1, seat 6, cancelled)",
                ),
            ],
        ),
        row(
            "C10",
            "a cancelled booking cannot be cancelled again once its seat is someone else's",
            &[
                (r#"POST /api/shows/1/book/ {"seat_number":6}"#, "201 Booking(<a>, show 1, seat 6, booked)"),
                ("POST /api/bookings/<a>/cancel/", "200 Booking(<a>, show 1, seat 6, cancelled)"),
                (r#"POST /api/shows/1/book/ {"seat_number":6} — as bob"#, "201 Booking(<b>, show 1, seat 6, booked)"),
                ("POST /api/bookings/<a>/cancel/", r#"409 {"detail":"This booking is already cancelled."}"#),
                ("GET /api/my-bookings/ — as bob", "200 [ Booking(<b>, show 1, seat 6, booked) ]"),
            ],
        ),
    ]
}
