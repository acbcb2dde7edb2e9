//! Section 13: my bookings.

use super::rows::{Row, row};

pub fn rows() -> Vec<Row> {
    vec![
        row(
            "Y01",
            "a new user has none",
            &[
                (
                    r#"POST /api/signup/ {…,"username":"new"}"#,
                    r#"201 {"id":"<id>","username":"new","email":"new@example.com"}"#,
                ),
                (r#"POST /api/login/ {"username":"new","password":"Sturdy-Lantern-42"}"#, "200 Tokens"),
                ("GET /api/my-bookings/ — Authorization: Bearer <JWT>", "200 []"),
            ],
        ),
        row(
            "Y02",
            "own bookings only, cancelled ones too, newest first",
            &[
                (
                    r#"POST /api/signup/ {…,"username":"cyd"}"#,
                    r#"201 {"id":"<id>","username":"cyd","email":"cyd@example.com"}"#,
                ),
                (r#"POST /api/login/ {"username":"cyd","password":"Sturdy-Lantern-42"}"#, "200 Tokens"),
                (r#"POST /api/shows/1/book/ {"seat_number":7}"#, "201 Booking(<a>, show 1, seat 7, booked)"),
                (
                    r#"POST /api/shows/1/book/ {"seat_number":9} — Authorization: Bearer <JWT>"#,
                    "201 Booking(<b>, show 1, seat 9, booked)",
                ),
                (
                    r#"POST /api/shows/1/book/ {"seat_number":8} — Authorization: Bearer <JWT>"#,
                    "201 Booking(<c>, show 1, seat 8, booked)",
                ),
                (
                    r#"POST /api/shows/2/book/ {"seat_number":1} — Authorization: Bearer <JWT>"#,
                    "201 Booking(<d>, show 2, seat 1, booked)",
                ),
                (
                    "POST /api/bookings/<b>/cancel/ — Authorization: Bearer <JWT>",
                    "200 Booking(<b>, show 1, seat 9, cancelled)",
                ),
                (
                    "GET /api/my-bookings/ — Authorization: Bearer <JWT>",
                    "200 [ Booking(<d>, show 2, seat 1, booked); Booking(<c>, show 1, seat 8, booked); Booking(<b>, show 1, seat 9, cancelled) ]",
                ),
            ],
        ),
        // `Booking` of a 201 asks for both.
        row(
            "Y03",
            "created_at is the moment of booking, UTC",
            &[(r#"POST /api/shows/1/book/ {"seat_number":10}"#, "201 Booking(<a>, show 1, seat 10, booked)")],
        ),
    ]
}
