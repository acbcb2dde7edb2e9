//! The history tells who did what, also customers and what ended with something else; it can be narrowed.

use serde_json::json;

use super::cinema::run;
use crate::api::holds::{act, hold, post};
use crate::support::{App, Browser, Engine, booking};

tests! {
    admin_history: [
        bookings_say_who_cancelled_them,
        a_cancelled_show_is_in_the_history_of_its_bookings,
        bookings_of_earlier_versions_do_not_guess,
        the_changes_can_be_narrowed,
    ]
}

async fn open(app: &App, who: &mut Browser, path: &str) -> String {
    who.get(app, format!("/admin/{path}")).await.expect(200).text
}

/// Returns the rows of a history: user and action.
fn rows(page: &str) -> Vec<(String, String)> {
    let cell = |row: &str, place: usize| {
        let cell = row.split("<td>").nth(place + 1).expect("a cell");
        cell.split("</td>").next().unwrap_or_default().to_owned()
    };
    let offset = usize::from(page.contains("<th scope=\"col\">Object</th>"));
    let body = page.split_once("<tbody>").map_or("", |(_, body)| body);
    body.split("<tr>").skip(1).map(|row| (cell(row, 1), cell(row, 3 + offset))).collect()
}

fn is(rows: &[(String, String)], expected: &[(&str, &str)]) {
    let found: Vec<(&str, &str)> = rows.iter().map(|(by, what)| (by.as_str(), what.as_str())).collect();
    assert_eq!(found, expected);
}

async fn bookings_say_who_cancelled_them(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut root = app.superuser("root").await;
    let held = hold(&world.ann, 1, &[1, 2, 3]).send(&app).await.expect(201).json();
    let order = act(&world.ann, &held, "confirm").send(&app).await.expect(201).json();
    let ids = [0, 1, 2].map(|place| order["bookings"][place]["id"].as_i64().expect("an id"));
    let code = order["code"].as_str().expect("a code");
    post(&world.ann, &format!("/api/bookings/{}/cancel/", ids[0])).send(&app).await.expect(200);
    run(&app, &mut root, "bookings.cancel", &[ids[1]], &[]).await;
    let rest = post(&world.ann, &format!("/api/orders/{code}/cancel/")).json(json!({"seats": [3]}));
    rest.send(&app).await.expect(200);
    assert_eq!(
        app.sql("SELECT cancelled_by FROM bookings ORDER BY seat_number").await,
        [[world.ann.id.to_string()], ["0".to_owned()], [world.ann.id.to_string()]]
    );
    let ann = "ann, the customer";
    for (id, expected) in [
        (ids[0], [(ann, "Cancelled"), (ann, "Booked")]),
        (ids[1], [("root", "Cancelled"), (ann, "Booked")]),
        (ids[2], [(ann, "Cancelled"), (ann, "Booked")]),
    ] {
        is(&rows(&open(&app, &mut root, &format!("bookings/{id}/history/")).await), &expected);
    }
    let order = open(&app, &mut root, &format!("orders/{}/history/", held["id"])).await;
    is(&rows(&order), &[(ann, "Cancelled seat 3"), ("root", "Cancelled"), (ann, "Cancelled seat 1"), (ann, "Ordered")]);
    // A refund is in the history of the bookings, too.
    let booked = booking(&world.bob, 1, 9).send(&app).await.expect(201).json()["id"].as_i64().expect("an id");
    run(&app, &mut root, "orders.paid", &[booked], &[]).await;
    run(&app, &mut root, "orders.refund", &[booked], &[]).await;
    let page = open(&app, &mut root, &format!("bookings/{booked}/history/")).await;
    is(&rows(&page), &[("root", "Cancelled"), ("bob, the customer", "Booked")]);
    assert!(page.contains("Staff refunded the order."), "{page}");
}

async fn a_cancelled_show_is_in_the_history_of_its_bookings(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut root = app.superuser("root").await;
    let booked = booking(&world.ann, 1, 1).send(&app).await.expect(201).json()["id"].as_i64().expect("an id");
    run(&app, &mut root, "shows.cancel", &[1], &[]).await;
    for model in ["bookings", "orders"] {
        let page = open(&app, &mut root, &format!("{model}/{booked}/history/")).await;
        assert_eq!(rows(&page)[0], ("root".to_owned(), "Cancelled".to_owned()), "{page}");
        assert!(page.contains("The show was cancelled."), "{page}");
    }
    let home = open(&app, &mut root, "").await;
    assert!(home.contains("<span class=\"dim\">Cancelled by root, "), "{home}");
}

async fn bookings_of_earlier_versions_do_not_guess(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut root = app.superuser("root").await;
    let booked = booking(&world.ann, 1, 1).send(&app).await.expect(201).json()["id"].as_i64().expect("an id");
    post(&world.ann, &format!("/api/bookings/{booked}/cancel/")).send(&app).await.expect(200);
    // As an earlier version wrote it.
    app.sql("UPDATE bookings SET cancelled_by = NULL").await;
    let page = open(&app, &mut root, &format!("bookings/{booked}/history/")).await;
    is(&rows(&page), &[("not recorded", "Cancelled"), ("ann, the customer", "Booked")]);
}

async fn the_changes_can_be_narrowed(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let mut root = app.superuser("root").await;
    let mut clerk = app.staff("clerk", &["movies.change", "screens.change"]).await;
    let movie = [("title", "Dusk"), ("duration_minutes", "90"), ("_version", "1")];
    clerk.post(&app, "/admin/movies/1/change/", &movie).await.expect(303);
    clerk.post(&app, "/admin/screens/1/change/", &[("name", "Dome"), ("_version", "1")]).await.expect(303);
    root.post(&app, "/admin/screens/add/", &[("name", "Salon")]).await.expect(303);
    app.sql("UPDATE admin_log SET at = 2082000000000000 WHERE model = 'movies'").await; // 2035-12-23
    for (query, expected) in [
        ("", vec![("root", "Added"), ("clerk", "Changed"), ("clerk", "Changed")]),
        ("who=CLERK", vec![("clerk", "Changed"), ("clerk", "Changed")]),
        ("who=cl", vec![("clerk", "Changed"), ("clerk", "Changed")]),
        ("who=lerk", vec![]),
        ("who=c_", vec![]),
        ("who=clerk&model=screens", vec![("clerk", "Changed")]),
        ("model=screens", vec![("root", "Added"), ("clerk", "Changed")]),
        ("action=add", vec![("root", "Added")]),
        ("action=add&who=clerk", vec![]),
        ("from=2035-12-23", vec![("clerk", "Changed")]),
        ("from=2035-12-23&until=2035-12-23", vec![("clerk", "Changed")]),
        ("until=2035-12-22", vec![("root", "Added"), ("clerk", "Changed")]),
        ("from=2035-12-24", vec![]),
        // Values that are not offered are ignored.
        ("model=nope&action=nope&from=nope", vec![("root", "Added"), ("clerk", "Changed"), ("clerk", "Changed")]),
    ] {
        is(&rows(&open(&app, &mut root, &format!("log/?{query}")).await), &expected);
    }
    // Staff see only the changes of models that they may see.
    let page = open(&app, &mut clerk, "log/?model=users").await;
    assert!(!page.contains("value=\"users\"") && rows(&page).len() == 3, "{page}");
    // The link to older entries keeps the choice.
    let row = "(1, 1, 'root', '::1', 'screens', 1, 'Dome', 'change', '[]')";
    let many = vec![row; 60].join(", ");
    app.sql(&format!(
        "INSERT INTO admin_log (at, user_id, username, address, model, object_id, object, action, changes) VALUES {many}"
    ))
    .await;
    let page = open(&app, &mut root, "log/?model=screens&who=root").await;
    assert_eq!(rows(&page).len(), 50);
    let (_, older) = page.split_once("<a href=\"?who=root&#38;model=screens&#38;before=").expect("a link");
    let before = older.split('"').next().expect("an id");
    let page = open(&app, &mut root, &format!("log/?who=root&model=screens&before={before}")).await;
    assert_eq!(rows(&page).len(), 11);
}
