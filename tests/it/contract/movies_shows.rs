//! Sections 9 and 10: movies, and the shows of a movie.

use super::rows::{Row, row};

pub fn rows() -> Vec<Row> {
    vec![
        row("M01", "a plain array of {id, title, duration_minutes}, by id", &[("GET /api/movies/", "200 Movies")]),
        row("M02", "unknown query parameters are ignored", &[("GET /api/movies/?page=2&limit=1&x=y", "200 Movies")]),
        row(
            "H01",
            "a plain array of shows by date_time then id, past ones too",
            &[("GET /api/movies/1/shows/", "200 Shows, available 3: 10, 1: 50, 2: 2")],
        ),
        row("H02", "a movie without shows", &[("GET /api/movies/2/shows/", "200 []")]),
        row("H03", "unknown movie", &[("GET /api/movies/999999999/shows/", r#"404 {"detail":"Not found."}"#)]),
        row("H04", "movie 0", &[("GET /api/movies/0/shows/", r#"404 {"detail":"Not found."}"#)]),
        row(
            "H05",
            "id beyond 64 bits",
            &[("GET /api/movies/99999999999999999999999/shows/", r#"404 {"detail":"Not found."}"#)],
        ),
        row("H06", "id that is not a number", &[("GET /api/movies/abc/shows/", "404")]),
        row("H07", "negative id", &[("GET /api/movies/-1/shows/", "404")]),
        row(
            "H08",
            "no token outranks an unknown movie",
            &[(
                "GET /api/movies/999999999/shows/ — no token",
                r#"401 {"detail":"Authentication credentials were not provided."}"#,
            )],
        ),
        row(
            "H09",
            "no single-movie endpoint (a server that offers one answers 200 with a Movie)",
            &[("GET /api/movies/1/", "200")],
        ),
        row("H10", "zero-padded id", &[("GET /api/movies/0002/shows/", "200 []")]),
        row(
            "H11",
            "available_seats follows bookings and cancellations",
            &[
                (r#"POST /api/shows/1/book/ {"seat_number":1}"#, "201 Booking(<a>, show 1, seat 1, booked)"),
                ("GET /api/movies/1/shows/", "200 Shows, available 3: 10, 1: 49, 2: 2"),
                (r#"POST /api/shows/1/book/ {"seat_number":2}"#, "201 Booking(<b>, show 1, seat 2, booked)"),
                ("GET /api/movies/1/shows/", "200 Shows, available 3: 10, 1: 48, 2: 2"),
                ("POST /api/bookings/<a>/cancel/", "200 Booking(<a>, show 1, seat 1, cancelled)"),
                ("POST /api/bookings/<b>/cancel/", "200 Booking(<b>, show 1, seat 2, cancelled)"),
                ("GET /api/movies/1/shows/", "200 Shows, available 3: 10, 1: 50, 2: 2"),
            ],
        ),
    ]
}
