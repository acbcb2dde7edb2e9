//! Section 11: booking.

use super::rows::{Row, row};

pub fn rows() -> Vec<Row> {
    vec![
        row(
            "B01",
            "book a seat",
            &[(r#"POST /api/shows/1/book/ {"seat_number":1}"#, "201 Booking(<a>, show 1, seat 1, booked)")],
        ),
        row(
            "B02",
            "seat taken by another user",
            &[
                (r#"POST /api/shows/1/book/ {"seat_number":2}"#, "201 Booking(<a>, show 1, seat 2, booked)"),
                (
                    r#"POST /api/shows/1/book/ {"seat_number":2} — as bob"#,
                    r#"409 {"detail":"This seat is already booked."}"#,
                ),
            ],
        ),
        row(
            "B03",
            "seat taken by oneself",
            &[
                (r#"POST /api/shows/1/book/ {"seat_number":2}"#, "201 Booking(<a>, show 1, seat 2, booked)"),
                (r#"POST /api/shows/1/book/ {"seat_number":2}"#, r#"409 {"detail":"This seat is already booked."}"#),
            ],
        ),
        row(
            "B04",
            "one user may hold several seats",
            &[
                (r#"POST /api/shows/1/book/ {"seat_number":1}"#, "201 Booking(<a>, show 1, seat 1, booked)"),
                (r#"POST /api/shows/1/book/ {"seat_number":2}"#, "201 Booking(<b>, show 1, seat 2, booked)"),
                (r#"POST /api/shows/1/book/ {"seat_number":50}"#, "201 Booking(<c>, show 1, seat 50, booked)"),
            ],
        ),
        row(
            "B05",
            "the same seat number in two shows",
            &[
                (r#"POST /api/shows/1/book/ {"seat_number":1}"#, "201 Booking(<a>, show 1, seat 1, booked)"),
                (r#"POST /api/shows/2/book/ {"seat_number":1}"#, "201 Booking(<b>, show 2, seat 1, booked)"),
            ],
        ),
        row(
            "B06",
            "seat 0",
            &[(
                r#"POST /api/shows/1/book/ {"seat_number":0}"#,
                r#"400 {"seat_number":["Ensure this value is greater than or equal to 1."]}"#,
            )],
        ),
        row(
            "B07",
            "negative",
            &[(
                r#"POST /api/shows/1/book/ {"seat_number":-1}"#,
                r#"400 {"seat_number":["Ensure this value is greater than or equal to 1."]}"#,
            )],
        ),
        row(
            "B08",
            "one above capacity",
            &[(
                r#"POST /api/shows/1/book/ {"seat_number":51}"#,
                r#"400 {"seat_number":["Ensure this value is less than or equal to 50."]}"#,
            )],
        ),
        row(
            "B09",
            "beyond 64 bits",
            &[(
                r#"POST /api/shows/1/book/ {"seat_number":18446744073709551616}"#,
                r#"400 {"seat_number":["Ensure this value is less than or equal to 50."]}"#,
            )],
        ),
        row(
            "B10",
            "41 digits",
            &[(
                r#"POST /api/shows/1/book/ {"seat_number":10000000000000000000000000000000000000000}"#,
                r#"400 {"seat_number":["Ensure this value is less than or equal to 50."]}"#,
            )],
        ),
        row(
            "B11",
            "word",
            &[(
                r#"POST /api/shows/1/book/ {"seat_number":"abc"}"#,
                r#"400 {"seat_number":["A valid integer is required."]}"#,
            )],
        ),
        row(
            "B12",
            "fraction",
            &[(
                r#"POST /api/shows/1/book/ {"seat_number":1.5}"#,
                r#"400 {"seat_number":["A valid integer is required."]}"#,
            )],
        ),
        row(
            "B13",
            "boolean",
            &[(
                r#"POST /api/shows/1/book/ {"seat_number":true}"#,
                r#"400 {"seat_number":["A valid integer is required."]}"#,
            )],
        ),
        row(
            "B14",
            "blank",
            &[(
                r#"POST /api/shows/1/book/ {"seat_number":""}"#,
                r#"400 {"seat_number":["A valid integer is required."]}"#,
            )],
        ),
        row(
            "B15",
            "array",
            &[(
                r#"POST /api/shows/1/book/ {"seat_number":[1]}"#,
                r#"400 {"seat_number":["A valid integer is required."]}"#,
            )],
        ),
        row(
            "B16",
            "object",
            &[(
                r#"POST /api/shows/1/book/ {"seat_number":{}}"#,
                r#"400 {"seat_number":["A valid integer is required."]}"#,
            )],
        ),
        row(
            "B17",
            "null",
            &[(
                r#"POST /api/shows/1/book/ {"seat_number":null}"#,
                r#"400 {"seat_number":["This field may not be null."]}"#,
            )],
        ),
        row("B18", "no field", &[("POST /api/shows/1/book/ {}", r#"400 {"seat_number":["This field is required."]}"#)]),
        row(
            "B19",
            "digits in a string",
            &[(r#"POST /api/shows/1/book/ {"seat_number":"15"}"#, "201 Booking(<a>, show 1, seat 15, booked)")],
        ),
        row(
            "B20",
            "negative in a string",
            &[(
                r#"POST /api/shows/1/book/ {"seat_number":"-5"}"#,
                r#"400 {"seat_number":["Ensure this value is greater than or equal to 1."]}"#,
            )],
        ),
        row(
            "B21",
            "whole float",
            &[(r#"POST /api/shows/1/book/ {"seat_number":15.0}"#, "201 Booking(<a>, show 1, seat 15, booked)")],
        ),
        row(
            "B22",
            "exponent",
            &[(r#"POST /api/shows/1/book/ {"seat_number":1e1}"#, "201 Booking(<a>, show 1, seat 10, booked)")],
        ),
        row(
            "B23",
            "exponent in a string",
            &[(
                r#"POST /api/shows/1/book/ {"seat_number":"1e1"}"#,
                r#"400 {"seat_number":["A valid integer is required."]}"#,
            )],
        ),
        row(
            "B24",
            "float too large",
            &[(
                r#"POST /api/shows/1/book/ {"seat_number":1e400}"#,
                r#"400 {"seat_number":["A valid integer is required."]}"#,
            )],
        ),
        row(
            "B25",
            "string with spaces",
            &[(r#"POST /api/shows/1/book/ {"seat_number":" 16 "}"#, "201 Booking(<a>, show 1, seat 16, booked)")],
        ),
        row(
            "B26",
            "string with .0",
            &[(r#"POST /api/shows/1/book/ {"seat_number":"17.0"}"#, "201 Booking(<a>, show 1, seat 17, booked)")],
        ),
        row(
            "B27",
            "string with a plus sign",
            &[(r#"POST /api/shows/1/book/ {"seat_number":"+18"}"#, "201 Booking(<a>, show 1, seat 18, booked)")],
        ),
        row(
            "B28",
            "string with leading zeros",
            &[(r#"POST /api/shows/1/book/ {"seat_number":"007"}"#, "201 Booking(<a>, show 1, seat 7, booked)")],
        ),
        row(
            "B29",
            "string over 1000 characters",
            &[(
                r#"POST /api/shows/1/book/ {"seat_number":"111…(1001)"}"#,
                r#"400 {"seat_number":["String value too large."]}"#,
            )],
        ),
        row(
            "B30",
            "integer of 5000 digits",
            &[(r#"POST /api/shows/1/book/ {"seat_number":111…(5000)}"#, r#"400 {"detail":"JSON parse error - …"}"#)],
        ),
        row(
            "B31",
            "unknown show",
            &[(r#"POST /api/shows/999999999/book/ {"seat_number":1}"#, r#"404 {"detail":"Not found."}"#)],
        ),
        row(
            "B32",
            "show id beyond 64 bits",
            &[(r#"POST /api/shows/99999999999999999999999/book/ {"seat_number":1}"#, r#"404 {"detail":"Not found."}"#)],
        ),
        row("B33", "show id that is not a number", &[(r#"POST /api/shows/abc/book/ {"seat_number":1}"#, "404")]),
        row(
            "B34",
            "show in the past",
            &[(r#"POST /api/shows/3/book/ {"seat_number":1}"#, r#"409 {"detail":"This show has already started."}"#)],
        ),
        row(
            "B35",
            "a bad seat outranks an unknown show",
            &[(
                r#"POST /api/shows/999999999/book/ {"seat_number":0}"#,
                r#"400 {"seat_number":["Ensure this value is greater than or equal to 1."]}"#,
            )],
        ),
        row(
            "B36",
            "a seat above capacity outranks a started show",
            &[(
                r#"POST /api/shows/3/book/ {"seat_number":11}"#,
                r#"400 {"seat_number":["Ensure this value is less than or equal to 10."]}"#,
            )],
        ),
        row(
            "B37",
            "a full show",
            &[
                (r#"POST /api/shows/2/book/ {"seat_number":1}"#, "201 Booking(<a>, show 2, seat 1, booked)"),
                (r#"POST /api/shows/2/book/ {"seat_number":2}"#, "201 Booking(<b>, show 2, seat 2, booked)"),
                (
                    r#"POST /api/shows/2/book/ {"seat_number":1} — as bob"#,
                    r#"409 {"detail":"This show is fully booked."}"#,
                ),
                (
                    r#"POST /api/shows/2/book/ {"seat_number":3} — as bob"#,
                    r#"400 {"seat_number":["Ensure this value is less than or equal to 2."]}"#,
                ),
            ],
        ),
        row(
            "B38",
            "a cancelled seat can be booked again, under a new id, by anyone",
            &[
                (r#"POST /api/shows/1/book/ {"seat_number":4}"#, "201 Booking(<a>, show 1, seat 4, booked)"),
                ("POST /api/bookings/<a>/cancel/", "200 Booking(<a>, show 1, seat 4, cancelled)"),
                (r#"POST /api/shows/1/book/ {"seat_number":4} — as bob"#, "201 Booking(<b>, show 1, seat 4, booked)"),
                ("POST /api/bookings/<b>/cancel/ — as bob", "200 Booking(<b>, show 1, seat 4, cancelled)"),
                (r#"POST /api/shows/1/book/ {"seat_number":4}"#, "201 Booking(<c>, show 1, seat 4, booked)"),
            ],
        ),
        row(
            "B39",
            "a full show opens again when one seat is cancelled",
            &[
                (r#"POST /api/shows/2/book/ {"seat_number":1}"#, "201 Booking(<a>, show 2, seat 1, booked)"),
                (r#"POST /api/shows/2/book/ {"seat_number":2}"#, "201 Booking(<b>, show 2, seat 2, booked)"),
                ("POST /api/bookings/<b>/cancel/", "200 Booking(<b>, show 2, seat 2, cancelled)"),
                (r#"POST /api/shows/2/book/ {"seat_number":2} — as bob"#, "201 Booking(<c>, show 2, seat 2, booked)"),
                (
                    r#"POST /api/shows/2/book/ {"seat_number":2} — as bob"#,
                    r#"409 {"detail":"This show is fully booked."}"#,
                ),
            ],
        ),
        row(
            "B40",
            "unknown fields are ignored: the caller is the owner, the state is booked",
            &[
                (
                    r#"POST /api/shows/1/book/ {"seat_number":5,"status":"cancelled","user":3,"id":1,"show":2}"#,
                    "201 Booking(<a>, show 1, seat 5, booked)",
                ),
                (
                    "GET /api/my-bookings/",
                    "200 [ Booking(<a>, show 1, seat 5, booked); Booking(<b>, show 2, seat 2, cancelled); Booking(<c>, show 2, seat 1, cancelled); Booking(<d>, show 1, seat 4, cancelled) … ]",
                ),
            ],
        ),
    ]
}
