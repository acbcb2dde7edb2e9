//! The cinema in the panel: planning, copying and cancelling shows, ending bookings and orders; the API shows it
//! immediately.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::api::holds::{act, get, hold, post, start};
use crate::support::{
    App, Browser, Call, Engine, Reply, User, booking, chance, is_consistent, others_changes_are_seen,
};

tests! {
    admin_cinema: [
        a_show_never_shrinks_below_its_taken_seats,
        a_screen_has_one_show_at_a_time,
        moving_a_show_warns_about_its_bookings,
        copies_of_a_week_keep_the_local_time,
        a_show_is_cancelled_while_people_book_it,
        repeating_finishes_a_half_cancelled_show,
        staff_can_cancel_bookings_at_any_time,
        large_actions_run_in_parts,
        orders_are_paid_refunded_and_cancelled,
        sales_are_closed,
        the_board_shows_todays_numbers,
        objects_in_use_are_not_deleted,
        a_new_title_is_shown_immediately,
        browsers_cache_static_files,
    ]
}

/// The fields of a show's form, with `given` in place of the defaults.
fn show_form<'a>(given: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual = [("movie_id", "1"), ("screen_id", "1"), ("date_time", "2035-06-01T18:30"), ("total_seats", "50")];
    let rest = usual.into_iter().filter(|(name, _)| given.iter().all(|(other, _)| other != name));
    given.iter().copied().chain(rest).chain([("_save", "1")]).collect()
}

/// Sends a show's form with its current version.
async fn change_show(app: &App, staff: &mut Browser, id: i64, given: &[(&str, &str)]) -> Reply {
    let version = &app.sql(&format!("SELECT version FROM shows WHERE id = {id}")).await[0][0];
    let mut form = show_form(given);
    form.push(("_version", version));
    staff.post(app, format!("/admin/shows/{id}/change/"), &form).await
}

/// Runs an action; returns the page with its report, which is the list if the action was short.
pub async fn run(app: &App, staff: &mut Browser, action: &str, ids: &[i64], given: &[(&str, &str)]) -> String {
    let reply = send_action(app, staff, action, ids, given).await;
    follow(app, staff, reply).await
}

/// Returns the page that a reply shows or leads to.
pub async fn follow(app: &App, staff: &mut Browser, reply: Reply) -> String {
    match reply.header("location") {
        Some(path) if reply.status == 303 => staff.get(app, path).await.expect(200).text,
        _ => reply.expect(200).text,
    }
}

pub async fn send_action(app: &App, staff: &mut Browser, action: &str, ids: &[i64], given: &[(&str, &str)]) -> Reply {
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
    let mut form: Vec<(&str, &str)> = ids.iter().map(|id| ("ids", id.as_str())).collect();
    form.extend(given);
    let (model, action) = action.split_once('.').expect("model.action");
    staff.post(app, format!("/admin/{model}/actions/{action}/"), &form).await
}

/// The shows of movie 1, as customers see them.
async fn shows(user: &User, base: &str) -> Vec<Value> {
    let reply = get(user, "/api/movies/1/shows/").send_to(base).await.expect(200).json();
    reply.as_array().expect("a list").clone()
}

async fn statuses(app: &App, user: &User) -> Vec<String> {
    let mine = get(user, "/api/my-bookings/").send(app).await.expect(200).json();
    let status = |one: &Value| one["status"].as_str().expect("a status").to_owned();
    mine.as_array().expect("a list").iter().map(status).collect()
}

async fn a_show_never_shrinks_below_its_taken_seats(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut staff = app.superuser("chief").await;
    booking(&world.ann, 1, 30).send(&app).await.expect(201);
    hold(&world.bob, 1, &[40]).send(&app).await.expect(201);
    let refused = change_show(&app, &mut staff, 1, &[("total_seats", "39")]).await;
    assert_ne!(refused.status, 303, "{}", refused.text);
    assert!(refused.text.contains("Seat 40 is taken"), "{}", refused.text);
    assert_eq!(app.sql("SELECT total_seats FROM shows WHERE id = 1").await, [["50"]]);
    change_show(&app, &mut staff, 1, &[("total_seats", "40")]).await.expect(303);
    // This instance shows it immediately.
    let first = shows(&world.ann, app.base()).await.into_iter().find(|show| show["id"] == 1).expect("show 1");
    assert_eq!((&first["total_seats"], &first["available_seats"]), (&json!(40), &json!(38)));
    booking(&world.ann, 1, 41).send(&app).await.expect(400);
    for wrong in ["-1", "2147483648", "x", ""] {
        let refused = change_show(&app, &mut staff, 1, &[("total_seats", wrong)]).await;
        assert_ne!(refused.status, 303, "{wrong}");
    }
    is_consistent(&app).await;
}

async fn a_screen_has_one_show_at_a_time(engine: Engine) {
    let app = start(engine, &[("TURNAROUND_MINUTES", "20")]).await;
    app.world().await;
    let mut staff = app.superuser("chief").await;
    let count = async || app.sql("SELECT COUNT(*) FROM shows").await[0][0].clone();
    // Show 1 takes Screen 1 from 18:30 to 20:52, movie 2 takes 95 minutes.
    for (begins, screen, is_free) in [
        ("2035-06-01T21:11", "1", false),
        ("2035-06-01T16:36", "1", false),
        ("2035-06-01T21:11", "2", true),
        ("2035-06-01T21:12", "1", true),
        ("2035-06-01T16:35", "1", true),
    ] {
        let before = count().await;
        let form = show_form(&[("movie_id", "2"), ("screen_id", screen), ("date_time", begins)]);
        let reply = staff.post(&app, "/admin/shows/add/", &form).await;
        assert_eq!(reply.status == 303, is_free, "{begins} on {screen}: {}", reply.text);
        assert_eq!(count().await != before, is_free);
        if !is_free {
            assert!(
                reply.text.contains("The screen is taken by &#34;The Long Take&#34; from 2035-06-01 18:30"),
                "{}",
                reply.text
            );
        }
    }
    // The warning is overridden.
    let mut form = show_form(&[("movie_id", "2"), ("date_time", "2035-06-01T19:00")]);
    form.push(("_anyway", "1"));
    staff.post(&app, "/admin/shows/add/", &form).await.expect(303);
    assert_eq!(count().await, "7");
    // An existing overlap does not prevent other changes.
    change_show(&app, &mut staff, 1, &[("total_seats", "60")]).await.expect(303);
}

async fn moving_a_show_warns_about_its_bookings(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut staff = app.superuser("chief").await;
    booking(&world.ann, 1, 1).send(&app).await.expect(201);
    booking(&world.bob, 1, 2).send(&app).await.expect(201);
    let moved = [("date_time", "2035-06-01T19:00"), ("screen_id", "2")];
    let refused = change_show(&app, &mut staff, 1, &moved).await;
    assert_ne!(refused.status, 303);
    assert!(refused.text.contains("2 seats are already sold or on hold for the old time"), "{}", refused.text);
    let anyway: Vec<_> = moved.into_iter().chain([("_anyway", "1")]).collect();
    change_show(&app, &mut staff, 1, &anyway).await.expect(303);
    let mine = get(&world.ann, "/api/my-bookings/").send(&app).await.expect(200).json();
    assert_eq!((&mine[0]["date_time"], &mine[0]["screen_name"]), (&json!("2035-06-01T19:00:00Z"), &json!("Screen 2")));
    let refused = change_show(&app, &mut staff, 1, &[("date_time", "2019-01-01T10:00"), ("screen_id", "2")]).await;
    assert!(refused.text.contains("This show begins in the past"), "{}", refused.text);
    let sales = [("sales_open_at", "2035-05-02T10:00"), ("sales_close_at", "2035-05-01T10:00")];
    let refused = change_show(&app, &mut staff, 2, &sales).await;
    assert!(refused.text.contains("close before they open"), "{}", refused.text);
}

async fn copies_of_a_week_keep_the_local_time(engine: Engine) {
    let app = start(engine, &[("TIME_ZONE", "Europe/Berlin")]).await;
    // The clocks go forward on 2035-03-25 at two. A show each day of the week before, and one at half past two.
    let days = (12..19).map(|day| {
        json!({
            "movie": 1, "screen": 1, "date_time": format!("2035-03-{day}T20:15:00+01:00"), "total_seats": 10 + day,
            "sales_close_at": format!("2035-03-{day}T20:00:00+01:00"), "order_limit": 4,
        })
    });
    let night = json!({"movie": 1, "screen": 2, "date_time": "2035-03-18T02:30:00+01:00", "total_seats": 5});
    app.load(json!({
        "movies": [{"id": 1, "title": "The Long Take", "duration_minutes": 60}],
        "screens": [{"id": 1, "name": "Screen 1"}, {"id": 2, "name": "Screen 2"}],
        "shows": days.chain([night]).collect::<Vec<_>>(),
    }));
    let customer = app.customer("ann").await;
    let mut staff = app.superuser("chief").await;
    let all: Vec<i64> = (1..=8).collect();
    let copy = [("first", "2035-03-19"), ("times", "2"), ("every", "week")];
    let asked = send_action(&app, &mut staff, "shows.copy", &all, &copy).await;
    assert!(asked.text.contains("the clocks go forward that night"), "{}", asked.text);
    assert_eq!(app.sql("SELECT COUNT(*) FROM shows").await, [["8"]]);
    let anyway: Vec<_> = copy.into_iter().chain([("_anyway", "1")]).collect();
    run(&app, &mut staff, "shows.copy", &all, &anyway).await;
    let begins = |shows: Vec<Value>| -> Vec<String> {
        shows.iter().map(|show| show["date_time"].as_str().expect("a time").to_owned()).collect()
    };
    let listed = begins(shows(&customer, app.base()).await);
    assert_eq!(listed.len(), 24);
    for (begins, is_there) in [
        ("2035-03-24T19:15:00Z", true),
        ("2035-03-25T01:30:00Z", true),
        ("2035-03-25T18:15:00Z", true),
        ("2035-03-25T19:15:00Z", false),
        ("2035-04-01T00:30:00Z", true),
        ("2035-04-01T18:15:00Z", true),
    ] {
        assert_eq!(listed.iter().any(|one| one == begins), is_there, "{begins}: {listed:?}");
    }
    let seats = "SELECT total_seats, order_limit, (date_time - sales_close_at) / 60000000 FROM shows
                 WHERE date_time = 2058376500000000";
    let row = &app.sql(seats).await[0];
    // Sales were closed for the original only.
    assert_eq!(row, &["27", "4", "NULL"]);
    // Copying again creates no duplicates.
    let told = run(&app, &mut staff, "shows.copy", &all, &anyway).await;
    assert!(told.contains("16 shows already exist"), "{told}");
    assert_eq!(app.sql("SELECT COUNT(*) FROM shows").await, [["24"]]);
    // Copy one day to the following ones: its own day and the next exist already, the third does not.
    let days = [("first", "2035-04-01"), ("times", "2"), ("every", "day")];
    let told = run(&app, &mut staff, "shows.copy", &[1], &days).await;
    assert!(told.contains("Done: 1 show.") && told.contains("1 show already exists"), "{told}");
}

async fn a_show_is_cancelled_while_people_book_it(engine: Engine) {
    let app = start(engine, &[]).await;
    let world = app.world().await;
    let mut staff = app.superuser("chief").await;
    let bases = app.bases();
    let users = [&world.ann, &world.bob];
    let storm = join_all((0..200).map(|number: usize| {
        let (user, base) = (users[number % 2], &bases[number / 2 % bases.len()]);
        let seat = 1 + chance(50) as i64;
        async move {
            if number.is_multiple_of(3) {
                let held = hold(user, 1, &[seat]).send_to(base).await;
                if held.status == 201 {
                    return vec![held.status, act(user, &held.json(), "confirm").send_to(base).await.status];
                }
                return vec![held.status];
            }
            vec![booking(user, 1, seat).send_to(base).await.status]
        }
    }));
    let cancel = async {
        // Cancel while bookings arrive.
        while app.sql("SELECT COUNT(*) FROM bookings").await == [["0"]] {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        run(&app, &mut staff, "shows.cancel", &[1], &[]).await
    };
    let (replies, told) = futures_util::join!(storm, cancel);
    assert!(replies.iter().flatten().all(|status| [201, 404, 409].contains(status)), "{replies:?}");
    assert!(replies.iter().flatten().any(|status| *status == 201));
    assert!(told.contains("Done: 1 show."), "{told}");
    assert_eq!(app.sql("SELECT COUNT(*) FROM bookings WHERE status <> 'cancelled'").await, [["0"]]);
    assert_eq!(
        app.sql("SELECT COUNT(*) FROM orders WHERE status NOT IN ('held', 'cancelled') OR expires_at > 0").await,
        [["0"]]
    );
    assert_eq!(app.sql("SELECT seats_taken FROM shows WHERE id = 1").await, [["0"]]);
    is_consistent(&app).await;
    for base in &bases {
        for call in [booking(&world.ann, 1, 7), hold(&world.ann, 1, &[7])] {
            assert_eq!(call.send_to(base).await.expect(409).json()["code"], "sales_closed");
        }
    }
    assert!(shows(&world.ann, app.base()).await.iter().all(|show| show["id"] != 1));
    assert!(statuses(&app, &world.ann).await.iter().all(|status| status == "cancelled"));
    let told = run(&app, &mut staff, "shows.cancel", &[1], &[]).await;
    assert!(told.contains("this show is already cancelled"), "{told}");
}

async fn repeating_finishes_a_half_cancelled_show(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut staff = app.superuser("chief").await;
    booking(&world.ann, 1, 1).send(&app).await.expect(201);
    let held = hold(&world.ann, 1, &[2, 3]).send(&app).await.expect(201).json();
    let confirmed = hold(&world.bob, 1, &[4, 5]).send(&app).await.expect(201).json();
    act(&world.bob, &confirmed, "confirm").send(&app).await.expect(201);
    // As after a crash between the two steps: sales are closed, but the bookings still exist.
    app.sql("UPDATE shows SET cancelled_at = 1, version = version + 1 WHERE id = 1").await;
    assert_eq!(act(&world.ann, &held, "confirm").send(&app).await.expect(409).json()["code"], "sales_closed");
    let told = run(&app, &mut staff, "shows.cancel", &[1], &[]).await;
    assert!(!told.contains("already") && told.contains("3 bookings were cancelled"), "{told}");
    assert_eq!(statuses(&app, &world.ann).await, ["cancelled"]);
    assert_eq!(statuses(&app, &world.bob).await, ["cancelled", "cancelled"]);
    get(&world.ann, &format!("/api/holds/{}/", held["id"])).send(&app).await.expect(404);
    assert_eq!(app.sql("SELECT status FROM orders WHERE expires_at IS NULL").await, [["cancelled"], ["cancelled"]]);
    is_consistent(&app).await;
    // Staff who may not change bookings may not do it this way either.
    let mut planner = app.staff("planner", &["shows.view", "shows.change"]).await;
    let page = planner.get(&app, "/admin/shows/2/change/").await.expect(200).text;
    assert!(!page.contains("/actions/cancel/"), "{page}");
    send_action(&app, &mut planner, "shows.cancel", &[2], &[]).await.expect(403);
    assert_eq!(app.sql("SELECT COUNT(*) FROM shows WHERE cancelled_at IS NOT NULL").await, [["1"]]);
}

async fn staff_can_cancel_bookings_at_any_time(engine: Engine) {
    let app = start(engine, &[("CANCEL_UNTIL_MINUTES", "525600")]).await;
    let world = app.world().await;
    let mut staff = app.superuser("chief").await;
    let booked = booking(&world.ann, 1, 1).send(&app).await.expect(201).json();
    let id = booked["id"].as_i64().expect("an id");
    let held = hold(&world.ann, 1, &[2, 3]).send(&app).await.expect(201).json();
    let order = act(&world.ann, &held, "confirm").send(&app).await.expect(201).json();
    let of_order = order["bookings"][0]["id"].as_i64().expect("an id");
    let free = async || shows(&world.bob, app.base()).await[1]["available_seats"].clone();
    assert_eq!(free().await, 47);
    // The show is moved closer, so that it is too late for the owner to cancel.
    let soon = jiff::Timestamp::now().as_microsecond() + 30 * 86_400_000_000;
    app.sql(&format!("UPDATE shows SET version = version + 1, date_time = {soon} WHERE id = 1")).await;
    others_changes_are_seen().await;
    post(&world.ann, &format!("/api/bookings/{id}/cancel/")).send(&app).await.expect(409);
    let told = run(&app, &mut staff, "bookings.cancel", &[id, of_order], &[]).await;
    assert!(told.contains("Done: 2 bookings."), "{told}");
    assert_eq!(free().await, 49);
    let mut left = statuses(&app, &world.ann).await;
    left.sort();
    assert_eq!(left, ["booked", "cancelled", "cancelled"]);
    let told = run(&app, &mut staff, "bookings.cancel", &[id], &[]).await;
    assert!(told.contains("already cancelled"), "{told}");
    // An order's code finds all of its bookings.
    let code = order["code"].as_str().expect("a code");
    let found = staff.get(&app, format!("/admin/bookings/?q={code}")).await.expect(200).text;
    assert!(found.contains("2 bookings"), "{found}");
    // A completed action is reported as done, even if it can't be logged.
    let last = order["bookings"][1]["id"].as_i64().expect("an id");
    app.sql("ALTER TABLE admin_log RENAME TO log_away").await;
    let told = run(&app, &mut staff, "bookings.cancel", &[last], &[]).await;
    assert!(told.contains("Done: 1 booking.") && told.contains("could not record it"), "{told}");
    assert_eq!(free().await, 50);
    app.sql("ALTER TABLE log_away RENAME TO admin_log").await;
    is_consistent(&app).await;
}

/// A school has booked a whole arena in one order.
async fn large_actions_run_in_parts(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut staff = app.superuser("chief").await;
    let (ann, seats) = (world.ann.id, 1_201_i64);
    let ids: Vec<i64> = (1..=seats).map(|seat| 5_000_000 + seat).collect();
    let rows: Vec<String> =
        (1..=seats).map(|seat| format!("({}, {ann}, 100, {seat}, 'booked', 1, 5000000)", 5_000_000 + seat)).collect();
    for sql in [
        "INSERT INTO shows (id, movie_id, screen_id, date_time, total_seats, seats_taken) SELECT 100, movie_id, screen_id, \
         date_time + 172800000000, 2000, 1201 FROM shows WHERE id = 1"
            .to_owned(),
        format!(
            "INSERT INTO orders (id, user_id, show_id, status, created_at, version) \
             VALUES (5000000, {ann}, 100, 'awaiting_payment', 1, 5000000)"
        ),
        format!(
            "INSERT INTO bookings (id, user_id, show_id, seat_number, status, created_at, order_id) VALUES {}",
            rows.join(", ")
        ),
    ] {
        app.sql(&sql).await;
    }
    let listed = staff.get(&app, "/admin/orders/").await.expect(200).text;
    assert!(listed.contains(", 1200, 1201<"), "all seats of an order are listed: {listed}");
    let told = run(&app, &mut staff, "bookings.cancel", &ids, &[]).await;
    for part in ["500 of 1201", "1000 of 1201", "1201 of 1201", "Done: 1201 bookings."] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(app.sql("SELECT COUNT(*) FROM bookings WHERE status = 'cancelled'").await, [["1201"]]);
    assert_eq!(app.sql("SELECT COUNT(DISTINCT object_id) FROM admin_log WHERE model = 'bookings'").await, [["1201"]]);
    is_consistent(&app).await;
}

async fn orders_are_paid_refunded_and_cancelled(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut staff = app.superuser("chief").await;
    let ordered = async |user: &User, seats: &[i64]| {
        let held = hold(user, 1, seats).send(&app).await.expect(201).json();
        let order = act(user, &held, "confirm").send(&app).await.expect(201).json();
        (held["id"].as_i64().expect("an id"), order["code"].as_str().expect("a code").to_owned())
    };
    let status = async |user: &User, code: &str| {
        let order = get(user, &format!("/api/orders/{code}/")).send(&app).await.expect(200).json();
        (order["status"].as_str().expect("a status").to_owned(), order["seats"].as_array().expect("seats").len())
    };
    let (first, first_code) = ordered(&world.ann, &[1, 2]).await;
    let (second, second_code) = ordered(&world.bob, &[3]).await;
    let is = |status: &str, seats: usize| (status.to_owned(), seats);
    run(&app, &mut staff, "orders.paid", &[first], &[]).await;
    assert_eq!(status(&world.ann, &first_code).await, is("paid", 2));
    let told = run(&app, &mut staff, "orders.paid", &[first], &[]).await;
    assert!(told.contains("This order is paid."), "{told}");
    let told = run(&app, &mut staff, "orders.refund", &[second], &[]).await;
    assert!(told.contains("This order is awaiting payment."), "{told}");
    run(&app, &mut staff, "orders.cancel", &[first, second], &[]).await;
    assert_eq!(status(&world.ann, &first_code).await, is("paid", 0));
    assert_eq!(status(&world.bob, &second_code).await, is("cancelled", 0));
    run(&app, &mut staff, "orders.refund", &[first], &[]).await;
    assert_eq!(status(&world.ann, &first_code).await, is("refunded", 0));
    let (third, third_code) = ordered(&world.ann, &[1, 2]).await;
    run(&app, &mut staff, "orders.paid", &[third], &[]).await;
    run(&app, &mut staff, "orders.refund", &[third], &[]).await;
    assert_eq!(status(&world.ann, &third_code).await, is("refunded", 0));
    // A hold is released.
    let held = hold(&world.ann, 1, &[9]).send(&app).await.expect(201).json();
    run(&app, &mut staff, "holds.release", &[held["id"].as_i64().expect("an id")], &[]).await;
    act(&world.ann, &held, "confirm").send(&app).await.expect(404);
    booking(&world.bob, 1, 9).send(&app).await.expect(201);
    for list in ["orders", "holds"] {
        let page = staff.get(&app, format!("/admin/{list}/")).await.expect(200).text;
        assert!(page.contains("The Long Take"), "{page}");
    }
    is_consistent(&app).await;
}

async fn sales_are_closed(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut staff = app.superuser("chief").await;
    let held = hold(&world.ann, 1, &[1]).send(&app).await.expect(201).json();
    let told = run(&app, &mut staff, "shows.close", &[1, 3], &[]).await;
    assert!(told.contains("already closed"), "{told}");
    assert_eq!(booking(&world.bob, 1, 2).send(&app).await.expect(409).json()["code"], "sales_closed");
    act(&world.ann, &held, "confirm").send(&app).await.expect(201);
    let list = staff.get(&app, "/admin/shows/?when=upcoming").await.expect(200).text;
    assert!(list.contains("Closed") && list.contains("Open"), "{list}");

    // Sales that were to open later stay closed, and the show can still be edited.
    let opens = [("sales_open_at", "2035-05-02T10:00"), ("screen_id", "2"), ("date_time", "2035-06-02T18:30")];
    change_show(&app, &mut staff, 2, &opens).await.expect(303);
    run(&app, &mut staff, "shows.close", &[2], &[]).await;
    let closed = app.sql("SELECT sales_close_at FROM shows WHERE id = 2").await[0][0].parse::<i64>().expect("a time");
    // As the form shows the time.
    let closed = marquee::time::clock::iso(closed / 1_000_000 * 1_000_000);
    let closed = closed.trim_end_matches('Z');
    let closed = closed.strip_suffix(":00").unwrap_or(closed);
    let again = [&opens[..], &[("sales_close_at", closed), ("total_seats", "3")]].concat();
    let saved = change_show(&app, &mut staff, 2, &again).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    assert_eq!(booking(&world.bob, 2, 3).send(&app).await.expect(409).json()["code"], "sales_not_open");
    let typed = [&opens[..], &[("sales_close_at", "2035-05-01T10:00"), ("total_seats", "4")]].concat();
    let refused = change_show(&app, &mut staff, 2, &typed).await;
    assert!(refused.text.contains("close before they open"), "{}", refused.text);
}

async fn the_board_shows_todays_numbers(engine: Engine) {
    // In one of these two time zones, the date always differs from UTC, and the day is not about to end.
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let is_late = (now.hour(), now.minute()) >= (10, 5);
    let name = if is_late { "Pacific/Kiritimati" } else { "Pacific/Pago_Pago" };
    let now = now.with_time_zone(jiff::tz::TimeZone::get(name).expect("known"));
    let app = start(engine, &[("TIME_ZONE", name), ("BUSINESS_DAY_STARTS_AT", "00:00")]).await;
    let world = app.world().await;
    let mut staff = app.superuser("chief").await;
    let page = staff.get(&app, "/admin/").await.expect(200).text;
    assert!(page.contains("No show begins today") && page.contains("no shows in the next seven days"), "{page}");
    // Late today, and tomorrow, in the cinema's time zone.
    let late = now.date().at(23, 59, 59, 0).to_zoned(now.time_zone().clone()).expect("a time").timestamp();
    for (id, days) in [(1, 0), (2, 1)] {
        let at = late.as_microsecond() + days * 86_400_000_000_i64;
        app.sql(&format!("UPDATE shows SET version = version + 1, date_time = {at} WHERE id = {id}")).await;
    }
    for seat in 1..=3 {
        booking(&world.ann, 1, seat).send(&app).await.expect(201);
    }
    booking(&world.ann, 2, 1).send(&app).await.expect(201);
    hold(&world.bob, 1, &[4, 5]).send(&app).await.expect(201);
    let page = staff.get(&app, "/admin/").await.expect(200).text;
    let squeezed = page.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(squeezed.contains("<strong>3</strong> of 50 seats sold across 1 show"), "{squeezed}");
    assert!(
        squeezed.contains("<td class=\"number\">2</td> <td class=\"number\"><a href=\"/admin/shows/1/seats/\">45<"),
        "{squeezed}"
    );
    assert!(squeezed.contains("1 of 2<"), "{squeezed}");
    // Staff who may not view shows see no board.
    let mut clerk = app.staff("clerk", &["movies.view"]).await;
    let page = clerk.get(&app, "/admin/").await.expect(200).text;
    assert!(!page.contains("seats sold") && !page.contains("/admin/shows/") && !page.contains("Add<"), "{page}");
}

async fn objects_in_use_are_not_deleted(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut staff = app.superuser("chief").await;
    let delete = async |staff: &mut Browser, path: &str| staff.post(&app, format!("/admin/{path}/delete/"), &[]).await;
    for (path, reason) in [("movies/1", "It still has shows."), ("screens/1", "It still has shows.")] {
        let refused = delete(&mut staff, path).await;
        assert!(refused.status != 303 && refused.text.contains(reason), "{}", refused.text);
    }
    let booked = booking(&world.ann, 1, 1).send(&app).await.expect(201).json();
    let refused = delete(&mut staff, "shows/1").await;
    assert!(refused.status != 303 && refused.text.contains("1 seat is booked or held"), "{}", refused.text);
    post(&world.ann, &format!("/api/bookings/{}/cancel/", booked["id"])).send(&app).await.expect(200);
    let refused = delete(&mut staff, "shows/1").await;
    assert!(refused.status != 303 && refused.text.contains("which must be kept"), "{}", refused.text);
    assert_eq!(shows(&world.ann, app.base()).await.len(), 3);
    delete(&mut staff, "shows/2").await.expect(303);
    assert_eq!(shows(&world.ann, app.base()).await.len(), 2);
    delete(&mut staff, "movies/2").await.expect(303);
    let movies = get(&world.ann, "/api/movies/").send(&app).await.expect(200).json();
    assert_eq!(movies.as_array().map(Vec::len), Some(1));
}

async fn a_new_title_is_shown_immediately(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut staff = app.superuser("chief").await;
    shows(&world.ann, app.base()).await;
    let form = [("title", "The Longer Take"), ("duration_minutes", "160"), ("_version", "1"), ("_save", "1")];
    staff.post(&app, "/admin/movies/1/change/", &form).await.expect(303);
    let movies = get(&world.ann, "/api/movies/").send(&app).await.expect(200).json();
    assert_eq!(movies[0]["title"], "The Longer Take");
    assert_eq!(shows(&world.ann, app.base()).await[0]["movie_title"], "The Longer Take");
    let form = [("name", "The Dome"), ("_version", "1"), ("_save", "1")];
    staff.post(&app, "/admin/screens/1/change/", &form).await.expect(303);
    assert_eq!(shows(&world.ann, app.base()).await[0]["screen_name"], "The Dome");
}

async fn browsers_cache_static_files(engine: Engine) {
    let app = App::start(engine).await;
    let page = Call::get("/admin/login/").send(&app).await.expect(200).text;
    for (name, kind) in [
        ("admin.css", "text/css; charset=utf-8"),
        ("admin.js", "text/javascript; charset=utf-8"),
        ("favicon.svg", "image/svg+xml"),
    ] {
        let (_, rest) = page.split_once(&format!("/admin/static/{name}?v=")).expect("the page names it");
        let version = rest.split('"').next().expect("a version");
        let file = Call::get(format!("/admin/static/{name}?v={version}")).send(&app).await.expect(200);
        assert_eq!(file.header("content-type").as_deref(), Some(kind));
        assert_eq!(file.header("cache-control").as_deref(), Some("public, max-age=31536000, immutable"));
        let tag = file.header("etag").expect("a tag");
        let known =
            Call::get(format!("/admin/static/{name}")).header("If-None-Match", tag).send(&app).await.expect(304);
        assert_eq!((known.text.as_str(), known.header("cache-control").as_deref()), ("", Some("no-cache")));
    }
    for other in ["admin.html", "..%2f..%2fCargo.toml", "ADMIN.CSS"] {
        Call::get(format!("/admin/static/{other}")).send(&app).await.expect(404);
    }
}
