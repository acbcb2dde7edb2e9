//! Before an action the panel says what it touches; after it, staff are back at the list. What cannot apply is not
//! offered.

use super::cinema::{follow, run, send_action};
use crate::api::holds::{act, hold, is_refused, post};
use crate::support::{App, Browser, Engine, booking};

tests! {
    admin_actions: [
        a_confirmation_says_what_is_touched,
        an_action_leads_back_to_its_list,
        actions_that_cannot_apply_are_not_offered,
        closed_sales_can_be_reopened,
        customers_of_a_cancelled_show_are_found,
    ]
}

async fn open(app: &App, who: &mut Browser, path: &str) -> String {
    who.get(app, format!("/admin/{path}")).await.expect(200).text
}

async fn a_confirmation_says_what_is_touched(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut root = app.superuser("root").await;
    let page = open(&app, &mut root, "shows/actions/cancel/?ids=1").await;
    assert!(page.contains("No seats are booked or held."), "{page}");
    let held = hold(&world.ann, 1, &[1, 2, 3]).send(&app).await.expect(201).json();
    act(&world.ann, &held, "confirm").send(&app).await.expect(201);
    let paid = booking(&world.bob, 1, 4).send(&app).await.expect(201).json()["id"].as_i64().expect("an id");
    run(&app, &mut root, "orders.paid", &[paid], &[]).await;
    booking(&world.bob, 1, 5).send(&app).await.expect(201);
    hold(&world.bob, 1, &[6, 7]).send(&app).await.expect(201);
    let page = open(&app, &mut root, "shows/actions/cancel/?ids=1&ids=2").await;
    for text in [
        "This cancels 5 seats in 3 orders of 2 customers.",
        "1 of these orders is paid.",
        "2 seats on hold now will be released.",
        "Customers are not notified",
        "has the filter &#34;Cancelled with the show&#34;",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let order = held["id"].as_i64().expect("an id");
    let page = open(&app, &mut root, &format!("orders/actions/cancel/?ids={order}")).await;
    assert!(page.contains("This cancels 3 seats in 1 order of 1 customer."), "{page}");
    let page = open(&app, &mut root, &format!("orders/actions/paid/?ids={order}")).await;
    assert!(page.contains("This is about 3 seats in 1 order of 1 customer."), "{page}");
    let page = open(&app, &mut root, &format!("bookings/actions/cancel/?ids={paid}")).await;
    assert!(page.contains("This cancels 1 seat in 1 order of 1 customer."), "{page}");
}

async fn an_action_leads_back_to_its_list(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let mut root = app.superuser("root").await;
    let copy = [("first", "2035-06-03"), ("times", "1"), ("every", "week"), ("_back", "when=upcoming&o=begins")];
    let reply = send_action(&app, &mut root, "shows.copy", &[1, 2], &copy).await;
    assert_eq!(reply.header("location").as_deref(), Some("/admin/shows/?when=upcoming&o=begins"), "{}", reply.text);
    let page = follow(&app, &mut root, reply).await;
    assert!(page.contains("Done: 2 shows."), "{page}");
    for id in [4, 5] {
        let note = page.split_once("role=\"status\"").expect("a message").1.split_once("</p>").expect("its end").0;
        assert!(note.contains(&format!("<a href=\"/admin/shows/{id}/change/\">The Long Take, ")), "{note}");
    }
    assert!(!open(&app, &mut root, "shows/").await.contains("Done: 2 shows."), "the message appears once");
    // What a cookie can't hold is on a page of its own.
    let movies: Vec<String> = (10..70).map(|id| format!("({id}, '{}{id}', 60)", "Long title ".repeat(15))).collect();
    app.sql(&format!("INSERT INTO movies (id, title, duration_minutes) VALUES {}", movies.join(", "))).await;
    let show = "INSERT INTO shows (movie_id, screen_id, date_time, total_seats) SELECT id, 1, 1, 5 FROM movies";
    app.sql(show).await;
    let ids: Vec<i64> = (10..70).collect();
    let page = send_action(&app, &mut root, "movies.delete", &ids, &[]).await.expect(200).text;
    assert!(page.contains("Nothing was done.") && page.contains("Back to the list"), "{page}");
    assert!(page.matches("It still has shows.").count() >= 50, "{page}");
}

async fn actions_that_cannot_apply_are_not_offered(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut root = app.superuser("root").await;
    let id = booking(&world.ann, 1, 1).send(&app).await.expect(201).json()["id"].as_i64().expect("an id");
    let offered = async |root: &mut Browser, model: &str, id: i64| {
        let page = open(&app, root, &format!("{model}/{id}/change/")).await;
        let mark = format!("/admin/{model}/actions/");
        page.split(&mark).skip(1).map(|rest| rest.split('/').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(offered(&mut root, "orders", id).await, ["paid", "cancel"]);
    assert_eq!(offered(&mut root, "bookings", id).await, ["cancel"]);
    assert_eq!(offered(&mut root, "shows", 1).await, ["copy", "close", "cancel"]);
    assert_eq!(offered(&mut root, "shows", 3).await, ["copy", "cancel"], "sales of a past show are over");
    run(&app, &mut root, "orders.paid", &[id], &[]).await;
    assert_eq!(offered(&mut root, "orders", id).await, ["refund", "cancel"]);
    run(&app, &mut root, "orders.refund", &[id], &[]).await;
    assert_eq!(offered(&mut root, "orders", id).await, Vec::<String>::new());
    assert_eq!(offered(&mut root, "bookings", id).await, Vec::<String>::new());
    let users = offered(&mut root, "users", world.inactive.id).await;
    assert!(users.contains(&"on".to_owned()) && !users.contains(&"off".to_owned()), "{users:?}");

    let page = open(&app, &mut root, "shows/1/change/").await;
    assert!(!page.contains("This show was cancelled"), "{page}");
    run(&app, &mut root, "shows.cancel", &[1], &[]).await;
    let page = open(&app, &mut root, "shows/1/change/").await;
    let (_, after) = page.split_once("This show was cancelled on ").expect("it says so");
    assert!(after.contains("<form class=\"object\""), "at the top of the form");
    assert_eq!(offered(&mut root, "shows", 1).await, ["copy"]);
    // A selection may have some that it applies to.
    let page = open(&app, &mut root, "shows/actions/cancel/?ids=1&ids=2").await;
    assert!(page.contains("This does not apply to 1 show of your selection"), "{page}");
    assert!(page.contains("class=\"primary\""), "{page}");
    let page = open(&app, &mut root, "shows/actions/cancel/?ids=1").await;
    assert!(!page.contains("class=\"primary\""), "{page}");
}

async fn closed_sales_can_be_reopened(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut root = app.superuser("root").await;
    run(&app, &mut root, "shows.close", &[1], &[]).await;
    is_refused(&booking(&world.ann, 1, 1).send(&app).await.expect(409), "sales_closed");
    let told = run(&app, &mut root, "shows.reopen", &[1, 2], &[]).await;
    assert!(told.contains("Done: 1 show.") && told.contains("sales were not closed"), "{told}");
    booking(&world.ann, 1, 1).send(&app).await.expect(201);
    let log = app.sql("SELECT action FROM admin_log WHERE model = 'shows' ORDER BY id").await;
    assert_eq!(log, [["close"], ["reopen"]]);
}

/// The orders and bookings that ended with their show, with the addresses of their customers.
async fn customers_of_a_cancelled_show_are_found(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut root = app.superuser("root").await;
    app.sql("UPDATE users SET first_name = 'Ann', last_name = 'Lee' WHERE username = 'ann'").await;
    let id = |reply: &serde_json::Value| reply["id"].as_i64().expect("an id");
    let both = id(&booking(&world.ann, 1, 1).send(&app).await.expect(201).json());
    let paid = id(&booking(&world.bob, 1, 2).send(&app).await.expect(201).json());
    run(&app, &mut root, "orders.paid", &[paid], &[]).await;
    // Cancelled by the customer, by staff long before, and with no show.
    let own = id(&booking(&world.ann, 1, 3).send(&app).await.expect(201).json());
    post(&world.ann, &format!("/api/bookings/{own}/cancel/")).send(&app).await.expect(200);
    let before = id(&booking(&world.bob, 1, 4).send(&app).await.expect(201).json());
    let elsewhere = id(&booking(&world.bob, 2, 1).send(&app).await.expect(201).json());
    run(&app, &mut root, "bookings.cancel", &[before, elsewhere], &[]).await;
    app.sql(&format!("UPDATE bookings SET cancelled_at = cancelled_at - 120000000 WHERE id = {before}")).await;
    run(&app, &mut root, "shows.cancel", &[1], &[]).await;
    for list in ["orders", "bookings"] {
        let exported = async |who: &mut Browser, query: &str| {
            let path = format!("/admin/{list}/export/?format=json&o=id&{query}");
            who.get(&app, path).await.expect(200).json()
        };
        let found = exported(&mut root, "with_show=yes").await;
        let found: Vec<_> =
            found.as_array().expect("a list").iter().map(|row| (id(row), row["email"].clone())).collect();
        assert_eq!(found, [(both, "ann@example.com".into()), (paid, "bob@example.com".into())], "{list}");
        assert_eq!(exported(&mut root, "with_show=yes&show=2").await, serde_json::json!([]));
        let page = open(&app, &mut root, &format!("{list}/?with_show=yes")).await;
        assert!(page.contains("Cancelled with the show: Yes"), "{page}");
        assert!(!page.contains("ann@example.com"), "addresses are only in exports: {page}");
        let csv = open(&app, &mut root, &format!("{list}/export/?with_show=yes&user={}", world.ann.id)).await;
        assert!(csv.contains("\"ann\",\"Ann Lee\",\"ann@example.com\""), "{csv}");
        // Only for staff who may view users.
        let view = format!("{list}.view");
        let mut clerk = app.staff(&format!("{list}_clerk"), &[&view]).await;
        let row = &exported(&mut clerk, "with_show=yes").await[0];
        assert!(row["user"] == "ann" && row.get("email").is_none() && row.get("name").is_none(), "{row}");
        let mut clerk = app.staff(&format!("{list}_manager"), &[&view, "users.view"]).await;
        assert_eq!(exported(&mut clerk, "with_show=yes").await[0]["name"], "Ann Lee");
    }
}
