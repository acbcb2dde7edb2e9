//! The programme: the shows of all movies with filters, single shows, movies and screens, open to everyone.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::holds::{expire, hold};
use crate::support::{App, Call, Engine, Options, Reply, booking, chance, others_changes_are_seen};

tests! {
    programme: [
        a_show_has_all_that_a_poster_says,
        movies_and_screens_are_open,
        replies_are_kept_until_they_change,
        changes_of_others_are_seen_within_a_second,
        own_changes_are_seen_immediately,
        a_show_says_why_it_is_not_on_sale,
        a_cancelled_show_leaves_the_lists,
        filters_find_their_shows,
        days_begin_in_the_morning,
        bad_parameters_are_named,
        the_past_comes_from_the_database,
        pages_have_no_gaps_while_shows_change,
        any_query_has_an_answer,
    ]
}

async fn read(app: &App, path: &str) -> Value {
    Call::get(path).send(app).await.expect(200).json()
}

/// Returns the ids of the shows on the first page of the list with this query.
async fn ids(app: &App, query: &str) -> Vec<i64> {
    ids_of(&read(app, &format!("/api/shows/?{query}")).await)
}

fn ids_of(page: &Value) -> Vec<i64> {
    let shows = page["results"].as_array().expect("a list");
    shows.iter().map(|show| show["id"].as_i64().expect("an id")).collect()
}

/// Changes columns of a show as staff do.
async fn change(app: &App, show: i64, columns: &str) {
    let sql =
        format!("UPDATE shows SET {columns}, version = version + 1, seat_version = seat_version + 1 WHERE id = {show}");
    app.sql(&sql).await;
}

async fn a_show_has_all_that_a_poster_says(engine: Engine) {
    let zone = ("TIME_ZONE", "Europe/Berlin".to_owned());
    let app = App::start_with(engine, Options { env: vec![zone], ..Options::default() }).await;
    let world = app.world().await;
    let plain = json!({
        "id": 1, "movie": { "id": 1, "title": "The Long Take" }, "screen": { "id": 1, "name": "Screen 1" },
        "date_time": "2035-06-01T18:30:00Z", "feature_starts_at": "2035-06-01T18:30:00Z",
        "ends_at": "2035-06-01T20:52:00Z", "business_day": "2035-06-01", "video_format": null, "language": null,
        "subtitles": null, "labels": [], "audio_description": false, "captions": false, "relaxed": false,
        "plan": "rows-50", "capacity": 50, "free": 50, "on_sale": true, "not_on_sale": null, "sales_open_at": null,
        "sales_close_at": null, "cancelled": false,
    });
    assert_eq!(read(&app, "/api/shows/1/").await, plain);
    let page = read(&app, "/api/shows/").await;
    assert_eq!((&page["next"], &page["results"][0]), (&Value::Null, &plain));
    assert_eq!(ids_of(&page), [1, 2], "a past show is not listed");
    change(
        &app,
        1,
        "date_time = date_time + 14400000000, format = 'IMAX', language = 'en', subtitles = 'pt-BR', labels = 'OmU, Preview',
         audio_description = 1, captions = 1, relaxed = 1, pre_show_minutes = 20, sales_open_at = 1000000000000000,
         sales_close_at = 2000000000000000",
    )
    .await;
    booking(&world.ann, 1, 1).send(&app).await.expect(201);
    hold(&world.bob, 1, &[2, 3]).send(&app).await.expect(201);
    others_changes_are_seen().await;
    let full = json!({
        "id": 1, "movie": { "id": 1, "title": "The Long Take" }, "screen": { "id": 1, "name": "Screen 1" },
        "date_time": "2035-06-01T22:30:00Z", "feature_starts_at": "2035-06-01T22:50:00Z",
        "ends_at": "2035-06-02T01:12:00Z", "business_day": "2035-06-01", "video_format": "IMAX", "language": "en",
        "subtitles": "pt-BR", "labels": ["OmU", "Preview"], "audio_description": true, "captions": true, "relaxed": true,
        "plan": "rows-50", "capacity": 50, "free": 47, "on_sale": true, "not_on_sale": null,
        "sales_open_at": "2001-09-09T01:46:40Z", "sales_close_at": "2033-05-18T03:33:20Z", "cancelled": false,
    });
    assert_eq!(read(&app, "/api/shows/1/").await, full, "half past midnight is still the evening before");
    assert_eq!(read(&app, "/api/shows/").await["results"][0], full);
    for unknown in ["/api/shows/99/", "/api/shows/99999999999999999999/", "/api/movies/99/"] {
        let refused = Call::get(unknown).send(&app).await.expect(404);
        assert_eq!(refused.json(), json!({ "detail": "Not found.", "code": "not_found" }));
    }
}

async fn movies_and_screens_are_open(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let movie = json!({
        "id": 1, "title": "The Long Take", "original_title": null, "duration_minutes": 142, "synopsis": null,
        "genres": [], "rating": null, "rating_system": null, "release_date": null, "distributor": null,
        "imdb_id": null, "tmdb_id": null,
    });
    assert_eq!(read(&app, "/api/movies/1/").await, movie);
    app.sql(
        "UPDATE movies SET original_title = 'Длинный план', synopsis = 'A \"long\" one.', genres = 'Drama, Comedy',
         rating = '12', rating_system = 'FSK', release_date = '2035-05-31', distributor = 'Harbour Films',
         imdb_id = 'tt0000001', tmdb_id = 7, poster = 'abc', version = version + 1 WHERE id = 1",
    )
    .await;
    others_changes_are_seen().await;
    let movie = json!({
        "id": 1, "title": "The Long Take", "original_title": "Длинный план", "duration_minutes": 142,
        "synopsis": "A \"long\" one.", "genres": ["Drama", "Comedy"], "rating": "12", "rating_system": "FSK",
        "release_date": "2035-05-31", "distributor": "Harbour Films", "imdb_id": "tt0000001", "tmdb_id": 7,
        "poster": {
            "small": "/posters/abc/small.jpg", "medium": "/posters/abc/medium.jpg", "large": "/posters/abc/large.jpg"
        },
    });
    assert_eq!(read(&app, "/api/movies/1/").await, movie);
    let screens = json!([
        { "id": 1, "name": "Screen 1", "plan": null, "capacity": null },
        { "id": 2, "name": "Screen 2", "plan": null, "capacity": null },
    ]);
    assert_eq!(read(&app, "/api/screens/").await, screens);
    app.sql(
        "INSERT INTO plans (screen_id, version, seats, highest_seat, retired, document, source, created_at)
         VALUES (1, 1, 7, 8, '[]', '{}', '', 0)",
    )
    .await;
    app.sql("UPDATE screens SET plan_id = (SELECT MAX(id) FROM plans), name = 'Dome', version = 2 WHERE id = 1").await;
    others_changes_are_seen().await;
    let dome = &read(&app, "/api/screens/").await[0];
    assert_eq!((&dome["name"], &dome["capacity"]), (&json!("Dome"), &json!(7)));
    assert!(dome["plan"].is_string(), "{dome}");
}

const PATHS: [&str; 4] = ["/api/shows/", "/api/shows/1/", "/api/movies/1/", "/api/screens/"];

async fn replies_are_kept_until_they_change(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    for path in PATHS {
        // A token is ignored, whatever it is.
        let first = Call::get(path).bearer("nonsense").send(&app).await.expect(200);
        let etag = first.header("etag").expect("an ETag");
        assert!(etag.starts_with("W/\""), "{etag}");
        assert_eq!(first.header("cache-control").as_deref(), Some("no-cache"));
        let again = Call::get(path).header("If-None-Match", etag.clone()).send(&app).await;
        assert_eq!((again.status, again.text.as_str()), (304, ""), "{path}");
        let zipped = Call::get(path).header("Accept-Encoding", "gzip").send(&app).await.expect(200);
        assert_eq!(zipped.header("content-encoding").as_deref(), Some("gzip"), "{path}");
        let head = Call::method("HEAD", path).send(&app).await.expect(200);
        assert_eq!((head.header("etag"), head.text.as_str()), (Some(etag), ""), "{path}");
        Call::post(path).send(&app).await.expect(405);
        let reply = Call::get(path).header("Origin", "https://elsewhere.example").send(&app).await;
        assert_eq!(reply.header("access-control-allow-origin").as_deref(), Some("*"), "{path}");
        let preflight = Call::method("OPTIONS", path)
            .header("Origin", "https://elsewhere.example")
            .header("Access-Control-Request-Method", "GET");
        assert_eq!(preflight.send(&app).await.expect(204).header("access-control-allow-origin").as_deref(), Some("*"));
        assert!(Call::get(path).header("Accept", "text/html").send(&app).await.expect(200).text.contains("<pre>"));
    }
    let etag = |reply: &Reply| reply.header("etag").expect("an ETag");
    let before = Call::get("/api/shows/").send(&app).await.expect(200);
    // A change that no reply shows moves nothing.
    change(&app, 1, "order_limit = 7").await;
    others_changes_are_seen().await;
    let same = Call::get("/api/shows/").send(&app).await.expect(200);
    assert_eq!(etag(&same), etag(&before));
    change(&app, 1, "relaxed = 1").await;
    others_changes_are_seen().await;
    let changed = Call::get("/api/shows/").header("If-None-Match", etag(&before)).send(&app).await.expect(200);
    assert_ne!(etag(&changed), etag(&before));
}

async fn changes_of_others_are_seen_within_a_second(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let free = async || {
        let (page, one) = (read(&app, "/api/shows/").await, read(&app, "/api/shows/1/").await);
        assert_eq!(page["results"][0]["free"], one["free"]);
        one["free"].clone()
    };
    assert_eq!(free().await, 50);
    booking(&world.ann, 1, 7).send(&app).await.expect(201);
    assert_eq!(read(&app, "/api/shows/1/").await["free"], 49, "an own booking is seen immediately at the show");
    let held = hold(&world.bob, 1, &[8, 9]).send(&app).await.expect(201).json();
    others_changes_are_seen().await;
    assert_eq!(free().await, 47);
    // A hold ends without a write by anyone.
    let soon = marquee::time::clock::now() + 2_000_000;
    app.sql(&format!("UPDATE orders SET expires_at = {soon} WHERE id = {}", held["id"])).await;
    change(&app, 1, "seat_version = seat_version").await;
    others_changes_are_seen().await;
    assert_eq!(free().await, 47);
    others_changes_are_seen().await;
    others_changes_are_seen().await;
    assert_eq!(free().await, 49);
    expire(&app, &held).await;
    app.load(json!({
        "movies": [{"id": 1, "title": "The Longer Take", "duration_minutes": 143}],
        "screens": [{"id": 2, "name": "The Dome"}],
        "shows": [{"id": 7, "movie": 2, "screen": 1, "date_time": "2035-06-01T19:00:00Z", "total_seats": 9}],
    }));
    others_changes_are_seen().await;
    let page = read(&app, "/api/shows/").await;
    assert_eq!(ids_of(&page), [1, 7, 2]);
    assert_eq!(page["results"][0]["movie"]["title"], "The Longer Take");
    assert_eq!(page["results"][0]["ends_at"], "2035-06-01T20:53:00Z");
    assert_eq!(page["results"][1]["movie"]["title"], "No Shows Tonight");
    assert_eq!(page["results"][2]["screen"]["name"], "The Dome");
    app.sql("DELETE FROM shows WHERE id = 7").await;
    change(&app, 2, "date_time = 2000000000000000").await;
    others_changes_are_seen().await;
    assert_eq!(ids(&app, "").await, [2, 1], "a show that was moved is elsewhere in the list");
}

async fn own_changes_are_seen_immediately(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let mut staff = app.superuser("chief").await;
    for path in PATHS {
        read(&app, path).await;
    }
    let form = [("title", "The Longer Take"), ("duration_minutes", "142"), ("_version", "1"), ("_save", "1")];
    staff.post(&app, "/admin/movies/1/change/", &form).await.expect(303);
    assert_eq!(read(&app, "/api/movies/1/").await["title"], "The Longer Take");
    for show in [&read(&app, "/api/shows/").await["results"][0], &read(&app, "/api/shows/1/").await] {
        assert_eq!(show["movie"]["title"], "The Longer Take");
    }
    let form = [("name", "The Dome"), ("_version", "1"), ("_save", "1")];
    staff.post(&app, "/admin/screens/1/change/", &form).await.expect(303);
    assert_eq!(read(&app, "/api/screens/").await[1]["name"], "The Dome");
    for show in [&read(&app, "/api/shows/").await["results"][0], &read(&app, "/api/shows/1/").await] {
        assert_eq!(show["screen"]["name"], "The Dome");
    }
    staff.post(&app, "/admin/shows/actions/close/", &[("ids", "1")]).await.expect(303);
    for show in [&read(&app, "/api/shows/").await["results"][0], &read(&app, "/api/shows/1/").await] {
        assert_eq!(show["not_on_sale"], "sales_closed");
    }
}

async fn a_show_says_why_it_is_not_on_sale(engine: Engine) {
    let env = vec![("SALES_CLOSE_MINUTES", "30".to_owned())];
    let app = App::start_with(engine, Options { env, ..Options::default() }).await;
    let world = app.world().await;
    // The same at the show, in the list and on the seat map.
    let why = async |id: i64| {
        let one = read(&app, &format!("/api/shows/{id}/")).await;
        let map = read(&app, &format!("/api/shows/{id}/seats/")).await;
        let day = one["business_day"].as_str().expect("a day");
        let page = read(&app, &format!("/api/shows/?business_day={day}")).await;
        let listed = page["results"].as_array().expect("a list").iter().find(|show| show["id"] == id).expect("listed");
        assert_eq!(*listed, one);
        let code = one["not_on_sale"].clone();
        assert_eq!(
            (map.get("not_on_sale").cloned().unwrap_or_default(), &map["on_sale"]),
            (code.clone(), &one["on_sale"])
        );
        assert_eq!(map["free"], one["free"]);
        assert_eq!(one["on_sale"], code.is_null());
        (code, one)
    };
    let (code, one) = why(1).await;
    assert_eq!((code, &one["sales_close_at"]), (Value::Null, &json!("2035-06-01T18:00:00Z")));
    assert_eq!(why(3).await.0, "show_started");
    for seat in [1, 2] {
        booking(&world.ann, 2, seat).send(&app).await.expect(201);
    }
    others_changes_are_seen().await;
    let (code, one) = why(2).await;
    assert_eq!((code, &one["free"]), (json!("show_full"), &json!(0)));
    change(&app, 1, "sales_open_at = 2000000000000000").await;
    others_changes_are_seen().await;
    let (code, one) = why(1).await;
    assert_eq!((code, &one["sales_open_at"]), (json!("sales_not_open"), &json!("2033-05-18T03:33:20Z")));
    change(&app, 1, "sales_open_at = NULL, sales_close_at = 1").await;
    others_changes_are_seen().await;
    assert_eq!(why(1).await.0, "sales_closed");
    // A held seat may become free again, so the show is not full.
    change(&app, 1, "sales_close_at = NULL, total_seats = 2").await;
    hold(&world.bob, 1, &[1, 2]).send(&app).await.expect(201);
    others_changes_are_seen().await;
    let (code, one) = why(1).await;
    assert_eq!((code, &one["free"]), (Value::Null, &json!(0)));
    // Sales that open, and a show that begins, need no write.
    let soon = marquee::time::clock::now() + 2_500_000;
    change(
        &app,
        1,
        &format!("sales_open_at = {soon}, sales_close_at = {}, date_time = {}", soon * 2, soon + 1_500_000),
    )
    .await;
    others_changes_are_seen().await;
    assert_eq!(read(&app, "/api/shows/1/").await["not_on_sale"], "sales_not_open");
    assert_eq!(ids(&app, "").await, [1, 2]);
    let until = async |at: i64| {
        let left = u64::try_from(at - marquee::time::clock::now()).unwrap_or_default();
        tokio::time::sleep(std::time::Duration::from_micros(left + 1_000_000)).await;
    };
    until(soon + 1_500_000).await;
    assert_eq!(why(1).await.0, "show_started");
    assert_eq!(ids(&app, "").await, [2], "only shows that have not begun are listed");
}

async fn a_cancelled_show_leaves_the_lists(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let mut staff = app.superuser("chief").await;
    assert_eq!(ids(&app, "").await, [1, 2]);
    staff.post(&app, "/admin/shows/actions/cancel/", &[("ids", "1")]).await.expect(303);
    for query in ["", "business_day=2035-06-01", "begins_from=2000-01-01T00:00:00Z"] {
        assert!(!ids(&app, query).await.contains(&1), "{query}");
    }
    let one = read(&app, "/api/shows/1/").await;
    assert_eq!((&one["cancelled"], &one["not_on_sale"]), (&json!(true), &json!("sales_closed")));
    change(&app, 3, "cancelled_at = 1").await;
    assert_eq!(ids(&app, "begins_from=2000-01-01T00:00:00Z").await, [2], "the past has none either");
    others_changes_are_seen().await;
    assert_eq!(read(&app, "/api/shows/3/").await["cancelled"], true);
}

async fn filters_find_their_shows(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    app.load(json!({"shows": [
        {"id": 4, "movie": 2, "screen": 2, "date_time": "2035-06-02T10:00:00Z", "total_seats": 5},
        {"id": 5, "movie": 2, "screen": 1, "date_time": "2035-06-03T10:00:00Z", "total_seats": 5},
    ]}));
    change(&app, 1, "format = 'IMAX', language = 'en', labels = 'OV'").await;
    change(&app, 2, "format = '3D', language = 'pt-BR', labels = 'OmU, Preview'").await;
    change(&app, 4, "format = 'Imax', language = 'PT', labels = 'ÖmU'").await;
    booking(&world.ann, 4, 1).send(&app).await.expect(201);
    others_changes_are_seen().await;
    for (query, expected) in [
        ("", &[1, 4, 2, 5][..]),
        ("movie=2", &[4, 5]),
        ("screen=2", &[4, 2]),
        ("movie=2&screen=2", &[4]),
        ("movie=99", &[]),
        ("video_format=imax", &[1, 4]),
        ("video_format=3d", &[2]),
        ("video_format=2D", &[]),
        ("language=pt", &[4, 2]),
        ("language=pt-br", &[2]),
        ("language=p", &[]),
        ("label=omu", &[2]),
        ("label=preview", &[2]),
        ("label=%C3%96mu", &[4]),
        ("label=om", &[]),
        ("min_free=0", &[1, 4, 2, 5]),
        ("min_free=5", &[1, 5]),
        ("min_free=4", &[1, 4, 5]),
        ("min_free=51", &[]),
        ("business_day=2035-06-02", &[4, 2]),
        ("begins_from=2035-06-02T10:00:00Z", &[4, 2, 5]),
        ("begins_from=2035-06-02T12:00:01%2B02:00", &[2, 5]),
        ("begins_before=2035-06-02T10:00:00Z", &[1]),
        ("begins_from=2035-06-02T10:00:00Z&begins_before=2035-06-02T18:30:00.000001Z", &[4, 2]),
        ("business_day=2035-06-02&begins_from=2035-06-02T12:00:00Z", &[2]),
        ("business_day=2035-06-02&begins_before=2035-06-02T12:00:00Z", &[4]),
        ("business_day=2035-06-02&begins_from=2035-06-03T12:00:00Z", &[]),
        ("language=pt&movie=1&min_free=1&label=OmU&video_format=3D&screen=2&business_day=2035-06-02", &[2]),
        ("format=json&limit=100", &[1, 4, 2, 5]),
    ] {
        assert_eq!(ids(&app, query).await, expected, "{query}");
    }
    // The filters stay on all pages.
    let first = read(&app, "/api/shows/?limit=1&language=pt&min_free=1").await;
    assert_eq!(ids_of(&first), [4]);
    let second = read(&app, first["next"].as_str().expect("a page follows")).await;
    assert_eq!((ids_of(&second), &second["next"]), (vec![2], &Value::Null));
}

async fn days_begin_in_the_morning(engine: Engine) {
    let env = vec![("TIME_ZONE", "Europe/Berlin".to_owned()), ("BUSINESS_DAY_STARTS_AT", "05:00".to_owned())];
    let app = App::start_with(engine, Options { env, ..Options::default() }).await;
    app.world().await;
    // The clocks go forward on 25 March 2035 at 01:00 UTC, so five o'clock is 03:00 UTC.
    let show = |id: i64, at: &str| json!({"id": id, "movie": 1, "screen": 1, "date_time": at, "total_seats": 5});
    app.load(json!({"shows": [
        show(11, "2035-03-24T03:59:59Z"),
        show(12, "2035-03-24T04:00:00Z"),
        show(13, "2035-03-25T02:59:59Z"),
        show(14, "2035-03-25T03:00:00Z"),
        show(15, "2035-03-26T02:59:59Z"),
    ]}));
    others_changes_are_seen().await;
    for (day, expected) in [("2035-03-23", &[11][..]), ("2035-03-24", &[12, 13]), ("2035-03-25", &[14, 15])] {
        let page = read(&app, &format!("/api/shows/?business_day={day}")).await;
        assert_eq!(ids_of(&page), expected, "{day}");
        for show in page["results"].as_array().expect("a list") {
            assert_eq!(show["business_day"], *day);
        }
    }
    // Today has the shows that have begun, too.
    let days = marquee::time::cinema::BusinessDays {
        zone: jiff::tz::TimeZone::get("Europe/Berlin").expect("a zone"),
        starts_at: jiff::civil::time(5, 0, 0, 0),
    };
    let today = days.today();
    change(&app, 1, &format!("date_time = {}", days.start(today))).await;
    others_changes_are_seen().await;
    assert_eq!(ids(&app, &format!("business_day={today}")).await, [1]);
    assert!(!ids(&app, "").await.contains(&1));
}

async fn bad_parameters_are_named(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    for (query, field, message) in [
        ("business_day=tomorrow", "business_day", "Enter a date such as 2035-06-01."),
        ("business_day=2035-02-30", "business_day", "Enter a date such as 2035-06-01."),
        ("movie=x", "movie", "A valid integer is required."),
        ("screen=0", "screen", "Ensure this value is greater than or equal to 1."),
        ("min_free=-1", "min_free", "Ensure this value is greater than or equal to 0."),
        ("video_format=", "video_format", "This field may not be blank."),
        ("language=en_US", "language", "Enter a language tag such as en or pt-BR."),
        ("cursor=x", "cursor", "Invalid cursor."),
        ("limit=101", "limit", "Must be a number from 1 to 100."),
        (
            "begins_from=2035-06-02T00:00:00Z&begins_before=2035-06-01T00:00:00Z",
            "begins_before",
            "Must be later than \"begins_from\".",
        ),
        ("movie=1&movie=2", "movie", "This parameter may appear only once."),
    ] {
        let refused = Call::get(format!("/api/shows/?{query}")).send(&app).await.expect(400);
        assert_eq!(refused.json(), json!({ field: [message] }), "{query}");
        assert_eq!(refused.header("x-error-code").as_deref(), Some("invalid_fields"));
    }
    let both = Call::get("/api/shows/?begins_from=now&begins_before=then").send(&app).await.expect(400).json();
    assert!(
        both["begins_from"][0].as_str().is_some_and(|text| text.contains("%2B")) && both["begins_before"].is_array(),
        "{both}"
    );
    for path in ["/api/shows/?genre=Drama", "/api/shows/1/?x=1", "/api/movies/1/?key=1", "/api/screens/?limit=1"] {
        let refused = Call::get(path).send(&app).await.expect(400);
        assert!(refused.text.contains("Unknown parameter."), "{path}: {refused:?}");
    }
    // `format` is the format of the reply.
    Call::get("/api/shows/?format=IMAX").send(&app).await.expect(404);
}

/// Follows all pages; returns the ids and how many pages there were.
async fn all_pages(app: &App, query: &str) -> (Vec<i64>, usize) {
    let (mut next, mut seen, mut pages) = (Some(format!("/api/shows/?{query}")), Vec::new(), 0);
    while let Some(path) = next {
        let page = read(app, &path).await;
        seen.extend(ids_of(&page));
        next = page["next"].as_str().map(str::to_owned);
        pages += 1;
        assert!(pages < 1_000, "the pages do not end");
    }
    (seen, pages)
}

async fn the_past_comes_from_the_database(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let hour = |number: i64| marquee::time::clock::iso((1_700_000_000 + number * 3_600) * 1_000_000);
    let show = |number: i64| {
        let (movie, screen) = (1 + number % 2, 1 + number % 3 % 2);
        json!({"id": 100 + number, "movie": movie, "screen": screen, "date_time": hour(number), "total_seats": 5})
    };
    app.load(json!({"shows": (0..450).map(show).collect::<Vec<_>>()}));
    change(&app, 103, "cancelled_at = 1").await;
    change(&app, 104, "unlisted_key = 'secret'").await;
    others_changes_are_seen().await;
    let past: Vec<i64> = (100..550).filter(|id| ![103, 104].contains(id)).collect();
    let from = "begins_from=2000-01-01T00:00:00Z";
    let (seen, pages) = all_pages(&app, &format!("{from}&limit=100")).await;
    assert_eq!(seen, [&[3][..], &past, &[1, 2]].concat());
    assert!(pages <= 6, "{pages}");
    let of = |movie: i64| past.iter().copied().filter(move |id| id % 2 + 1 == movie);
    assert_eq!(all_pages(&app, &format!("{from}&movie=2")).await.0, of(2).collect::<Vec<_>>());
    let expected: Vec<i64> = of(1).filter(|id| (id - 100) % 3 % 2 == 1).collect();
    assert_eq!(all_pages(&app, &format!("{from}&movie=1&screen=2")).await.0, [&expected[..], &[2]].concat());
    let (seen, _) = all_pages(&app, &format!("{from}&begins_before=2030-01-01T00:00:00Z&screen=2&limit=7")).await;
    assert_eq!(seen, past.iter().copied().filter(|id| (id - 100) % 3 % 2 == 1).collect::<Vec<_>>());
    // Filters that find little leave pages short, but end.
    let (seen, pages) = all_pages(&app, &format!("{from}&label=none")).await;
    assert_eq!(seen, Vec::<i64>::new());
    assert!(pages <= 4, "{pages}");
    let first = &read(&app, &format!("/api/shows/?{from}")).await["results"][0];
    assert_eq!((&first["id"], &first["not_on_sale"]), (&json!(3), &json!("show_started")));
    assert_eq!(*first, read(&app, "/api/shows/3/").await);
}

async fn pages_have_no_gaps_while_shows_change(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let at = |number: i64| (2_100_000_000 + number / 3 * 3_600) * 1_000_000;
    let iso = |number: i64| marquee::time::clock::iso(at(number));
    let show =
        |number: i64| json!({"id": 100 + number, "movie": 1, "screen": 1, "date_time": iso(number), "total_seats": 5});
    app.load(json!({"shows": (0..60).map(show).collect::<Vec<_>>()}));
    others_changes_are_seen().await;
    // Nobody touches the even ones.
    let still: BTreeSet<i64> = (100..160).filter(|id| id % 2 == 0).chain([1, 2]).collect();
    for limit in [1, 7, 50] {
        let (mut next, mut seen) = (Some(format!("/api/shows/?limit={limit}")), Vec::new());
        while let Some(path) = next {
            let page = read(&app, &path).await;
            assert!(page["results"].as_array().expect("a list").len() <= limit);
            seen.extend(ids_of(&page));
            next = page["next"].as_str().map(str::to_owned);
            for _ in 0..3 {
                let id = 101 + 2 * i64::try_from(chance(30)).expect("small");
                let moved = at(i64::try_from(chance(90)).expect("small"));
                match chance(4) {
                    0 => change(&app, id, "cancelled_at = 1").await,
                    1 => change(&app, id, "cancelled_at = NULL, unlisted_key = NULL").await,
                    2 => change(&app, id, "unlisted_key = 'secret'").await,
                    _ => change(&app, id, &format!("date_time = {moved}")).await,
                }
            }
            if limit > 1 || chance(20) == 0 {
                others_changes_are_seen().await;
            }
        }
        let of_still: Vec<i64> = seen.iter().copied().filter(|id| still.contains(id)).collect();
        assert_eq!(of_still.len(), still.len(), "limit {limit}: {seen:?}");
        assert_eq!(of_still.into_iter().collect::<BTreeSet<_>>(), still, "limit {limit}");
    }
}

/// Values of parameters that a stranger may send.
const VALUES: &str = "1 2 0 -1 9223372036854775807 -9223372036854775808 99999999999999999999 x %00 %FF %F0%9F%8E%AC \
    2035-06-01 -9999-01-01 9999-12-31 2035-06-01T18:30:00Z -009999-01-02T01:59:59Z 9999-12-30T22:00:00Z \
    2020-01-01T00:00:00%2B02:00 IMAX en pt-BR OmU %27%20OR%201=1 %3Cscript%3E MS4y \
    OTIyMzM3MjAzNjg1NDc3NTgwNy45MjIzMzcyMDM2ODU0Nzc1ODA3 LTkyMjMzNzIwMzY4NTQ3NzU4MDguMA a=b %25 +";
const NAMES: &str =
    "business_day begins_from begins_before movie screen video_format language label min_free cursor limit";

/// Random parameters, both sensible and not: each query has a page or names its faults.
async fn any_query_has_an_answer(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let names: Vec<&str> = NAMES.split(' ').collect();
    let values: Vec<&str> = [""].into_iter().chain(VALUES.split_whitespace()).collect();
    let (mut pages, mut refused) = (0, 0);
    for _ in 0..600 {
        let pair = || format!("{}={}", names[chance(names.len())], values[chance(values.len())]);
        let query = (0..=chance(3)).map(|_| pair()).collect::<Vec<_>>().join("&");
        let reply = Call::get(format!("/api/shows/?{query}")).send(&app).await;
        match reply.status {
            200 => {
                pages += 1;
                let page = reply.json();
                assert!(page["results"].is_array(), "{query}: {page}");
                if let Some(next) = page["next"].as_str() {
                    read(&app, next).await;
                }
            }
            400 => {
                refused += 1;
                let faults = reply.json();
                assert!(
                    faults.as_object().expect("fields").keys().all(|name| names.contains(&name.as_str())),
                    "{query}"
                );
            }
            status => panic!("{query}: {status} {}", reply.text),
        }
    }
    assert!(pages > 30 && refused > 100, "{pages} pages, {refused} refused");
}
