//! How stale a read may be: an instance shows its own changes immediately, and those of others within a second.
//! my-bookings is never stale.

use serde_json::{Value, json};

use crate::support::{App, Call, Engine, Options, User, others_changes_are_seen};

tests! {
    reads: [
        own_changes_appear_immediately,
        my_bookings_is_never_stale,
        others_changes_appear_within_a_second,
    ]
}

async fn two_instances(engine: Engine) -> App {
    App::start_with(engine, Options { instances: 2, ..Options::default() }).await
}

async fn list(app: &App, instance: usize, path: &str, user: &User) -> Vec<Value> {
    let list = Call::get(path).bearer(&user.access).send_to(&app.instance(instance).base).await.expect(200).json();
    list.as_array().expect("a list").clone()
}

/// The free seats of show 1.
async fn available(app: &App, instance: usize, user: &User) -> i64 {
    let shows = list(app, instance, "/api/movies/1/shows/", user).await;
    let show = shows.iter().find(|show| show["id"] == 1).expect("show 1 is listed");
    show["available_seats"].as_i64().expect("a number")
}

/// Returns the id of the booking.
async fn book(app: &App, instance: usize, user: &User, seat: i64) -> i64 {
    let call = Call::post("/api/shows/1/book/").bearer(&user.access).json(json!({"seat_number": seat}));
    call.send_to(&app.instance(instance).base).await.expect(201).json()["id"].as_i64().expect("an id")
}

async fn cancel(app: &App, instance: usize, user: &User, booking: i64) {
    let call = Call::post(format!("/api/bookings/{booking}/cancel/")).bearer(&user.access);
    call.send_to(&app.instance(instance).base).await.expect(200);
}

async fn own_changes_appear_immediately(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    // Many times within a second, so that most requests find a list that was cached a moment ago.
    for seat in 1..=20 {
        assert_eq!(available(&app, 0, &world.bob).await, 50);
        let booking = book(&app, 0, &world.ann, seat).await;
        assert_eq!(available(&app, 0, &world.bob).await, 49, "seat {seat} was booked");
        cancel(&app, 0, &world.ann, booking).await;
        assert_eq!(available(&app, 0, &world.bob).await, 50, "seat {seat} was given back");
    }
}

async fn my_bookings_is_never_stale(engine: Engine) {
    let app = two_instances(engine).await;
    let world = app.world().await;
    for seat in 1..=10 {
        // Change through one instance and read from both, in turn.
        let here = seat as usize % 2;
        let booking = book(&app, here, &world.ann, seat).await;
        for status in ["booked", "cancelled"] {
            for instance in [1 - here, here] {
                let newest = list(&app, instance, "/api/my-bookings/", &world.ann).await.swap_remove(0);
                assert_eq!(
                    (&newest["id"], &newest["seat_number"], &newest["status"]),
                    (&json!(booking), &json!(seat), &json!(status)),
                    "at instance {instance}"
                );
            }
            if status == "booked" {
                cancel(&app, here, &world.ann, booking).await;
            }
        }
        assert_eq!(list(&app, 1 - here, "/api/my-bookings/", &world.ann).await.len() as i64, seat);
    }
}

/// For a user who is deactivated elsewhere, see `accounts::deactivated_on_the_other_instance`.
async fn others_changes_appear_within_a_second(engine: Engine) {
    let app = two_instances(engine).await;
    let world = app.world().await;
    let titles = async |instance: usize| {
        let movies = list(&app, instance, "/api/movies/", &world.ann).await;
        movies.iter().map(|movie| movie["title"].as_str().expect("a text").to_owned()).collect::<Vec<_>>()
    };
    for instance in [0, 1] {
        assert_eq!(available(&app, instance, &world.bob).await, 50);
    }
    let booking = book(&app, 0, &world.ann, 1).await;
    others_changes_are_seen().await;
    assert_eq!(available(&app, 1, &world.bob).await, 49);
    cancel(&app, 0, &world.ann, booking).await;
    others_changes_are_seen().await;
    assert_eq!(available(&app, 1, &world.bob).await, 50);

    // To every instance, a command is another process.
    for instance in [0, 1] {
        assert_eq!(titles(instance).await, ["The Long Take", "No Shows Tonight"]);
    }
    app.load(json!({
        "movies": [{"id": 1, "title": "The Longer Take", "duration_minutes": 143}],
        "shows": [{"id": 1, "movie": 1, "screen": 1, "date_time": "2035-06-01T18:30:00Z", "total_seats": 60}],
    }));
    others_changes_are_seen().await;
    for instance in [0, 1] {
        assert_eq!(titles(instance).await, ["The Longer Take", "No Shows Tonight"]);
        assert_eq!(available(&app, instance, &world.bob).await, 60);
    }
}
