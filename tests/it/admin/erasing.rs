//! A customer's personal data: the file with everything, and its erasure.

use serde_json::Value;

use super::cinema::{follow, run, send_action};
use crate::api::holds::{act, hold, post};
use crate::support::{App, Call, Engine, booking};

tests! {
    admin_erasing: [
        personal_data_can_be_downloaded,
        erased_data_is_nowhere,
        data_is_not_erased_while_a_show_is_booked,
    ]
}

async fn personal_data_can_be_downloaded(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut root = app.superuser("root").await;
    let held = hold(&world.ann, 1, &[1, 2]).send(&app).await.expect(201).json();
    let order = act(&world.ann, &held, "confirm").send(&app).await.expect(201).json();
    let path = format!("/admin/users/{}/data/", world.ann.id);
    let page = root.get(&app, format!("/admin/users/{}/change/", world.ann.id)).await.expect(200).text;
    assert!(page.contains(&format!("href=\"{path}\"")), "{page}");
    let file = root.get(&app, &*path).await.expect(200);
    assert!(file.header("content-disposition").expect("a name").starts_with("attachment; filename=\"user-"));
    let data: Value = serde_json::from_str(&file.text).expect("JSON");
    assert_eq!(data["account"]["email"], "ann@example.com");
    let seats: Vec<&Value> = data["orders"].as_array().expect("a list").iter().map(|seat| &seat["seat"]).collect();
    assert_eq!(seats, [1, 2]);
    assert!(data["orders"].as_array().expect("a list").iter().all(|seat| seat["code"] == order["code"]), "{data}");
    assert!(!file.text.contains("argon2"), "no password");
    // Staff who may not see orders may not see them here.
    let mut clerk = app.staff("clerk", &["users.view"]).await;
    clerk.get(&app, &*path).await.expect(403);
    let page = clerk.get(&app, format!("/admin/users/{}/change/", world.ann.id)).await.expect(200).text;
    assert!(!page.contains("/data/"), "{page}");
    root.get(&app, "/admin/users/99999/data/").await.expect(404);
    root.get(&app, "/admin/movies/1/data/").await.expect(404);
}

/// Everything in the database, as text.
async fn dump(app: &App) -> String {
    let tables = match app.engine {
        Engine::Sqlite => app.sql("SELECT name FROM sqlite_schema WHERE type = 'table'").await,
        _ => {
            let sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()";
            app.sql(sql).await
        }
    };
    let mut text = String::new();
    for table in tables.concat() {
        for row in app.sql(&format!("SELECT * FROM {table}")).await {
            text += &format!("{table}: {}\n", row.join("|"));
        }
    }
    assert!(text.contains("users: ") && text.contains("admin_log: "), "{text}");
    text
}

async fn erased_data_is_nowhere(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut root = app.superuser("root").await;
    // Zoë Quintana has changed her name and address, and staff have done a lot for her.
    let user = app.customer("zoequintana").await;
    let path = format!("/admin/users/{}/change/", user.id);
    for (number, name) in ["zoequintana", "quintanazoe"].into_iter().enumerate() {
        let (email, version) = (format!("{name}@quintana.example"), (number + 1).to_string());
        let form = [
            ("username", name),
            ("email", email.as_str()),
            ("first_name", "Zoë"),
            ("last_name", "Quintana"),
            ("is_active", "1"),
            ("_version", &version),
        ];
        root.post(&app, &*path, &form).await.expect(303);
    }
    let held = hold(&user, 1, &[1, 2]).send(&app).await.expect(201).json();
    act(&user, &held, "confirm").send(&app).await.expect(201);
    let order = held["id"].as_i64().expect("an id");
    run(&app, &mut root, "orders.paid", &[order], &[]).await;
    run(&app, &mut root, "orders.refund", &[order], &[]).await;
    let keyed = booking(&user, 1, 5).header("Idempotency-Key", "of-zoe").send(&app).await.expect(201).json();
    post(&user, &format!("/api/bookings/{}/cancel/", keyed["id"])).send(&app).await.expect(200);
    let dropped = hold(&user, 1, &[7]).send(&app).await.expect(201).json()["id"].as_i64().expect("an id");
    run(&app, &mut root, "holds.release", &[dropped], &[]).await;
    // As the cleanup does later.
    app.sql(&format!("DELETE FROM bookings WHERE order_id = {dropped}")).await;
    app.sql(&format!("DELETE FROM orders WHERE id = {dropped}")).await;
    booking(&world.ann, 1, 9).send(&app).await.expect(201);
    assert!(dump(&app).await.to_lowercase().contains("quintana"));

    let told = run(&app, &mut root, "users.erase", &[user.id], &[]).await;
    assert!(told.contains("Done: 1 user."), "{told}");
    let left = dump(&app).await;
    for line in left.lines() {
        let lower = line.to_lowercase();
        for part in ["quintana", "zoë"] {
            assert!(!lower.contains(part), "{part} is left in {line}");
        }
    }
    let pseudonym = format!("erased-{}", user.id);
    assert!(left.contains(&format!("{pseudonym}, The Long Take")), "{left}");
    assert!(left.contains("ann@example.com"), "others stay");
    // The account can't be used, and its orders are still there.
    let call = Call::get("/api/my-bookings/").bearer(&user.access);
    crate::support::others_changes_are_seen().await;
    call.send(&app).await.expect(401);
    let list = root.get(&app, format!("/admin/orders/?user={}", user.id)).await.expect(200).text;
    assert!(list.contains("2 orders") && list.contains(&pseudonym), "{list}");
    let log = app.sql("SELECT object, action FROM admin_log ORDER BY id DESC LIMIT 1").await;
    assert_eq!(log, [[pseudonym.as_str(), "erase"]]);
    if app.engine == Engine::Sqlite {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("copy.sqlite3");
        app.succeed(&["backup", file.to_str().expect("UTF-8")]);
        let bytes = std::fs::read(file).expect("the copy");
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        assert!(text.contains("the long take") && !text.contains("quintana"), "the copy has erased data");
    }
}

async fn data_is_not_erased_while_a_show_is_booked(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut root = app.superuser("root").await;
    let booked = booking(&world.ann, 1, 1).send(&app).await.expect(201).json()["id"].as_i64().expect("an id");
    let told = run(&app, &mut root, "users.erase", &[world.ann.id], &[]).await;
    assert!(told.contains("ann has seats in a coming show."), "{told}");
    // The page that asks says so before.
    let asks = format!("/admin/users/actions/erase/?ids={}", world.ann.id);
    let asks = root.get(&app, &asks).await.expect(200).text;
    assert!(asks.contains("1 user has seats in a coming show and won&#39;t be erased"), "{asks}");
    assert_eq!(app.sql("SELECT email FROM users WHERE username = 'ann'").await, [["ann@example.com"]]);
    hold(&world.bob, 1, &[2]).send(&app).await.expect(201);
    let told = run(&app, &mut root, "users.erase", &[world.bob.id], &[]).await;
    assert!(told.contains("bob has seats in a coming show."), "{told}");
    post(&world.ann, &format!("/api/bookings/{booked}/cancel/")).send(&app).await.expect(200);
    let told = run(&app, &mut root, "users.erase", &[world.ann.id], &[]).await;
    assert!(told.contains("Done: 1 user."), "{told}");
    // Staff keep their names in the history.
    let chief = app.sql("SELECT id FROM users WHERE username = 'root'").await[0][0].parse().expect("an id");
    let told = run(&app, &mut root, "users.erase", &[chief], &[]).await;
    assert!(told.contains("this is a staff account"), "{told}");
    // It is a permission of its own.
    let mut clerk = app.staff("clerk", &["users.view", "users.change"]).await;
    let reply = send_action(&app, &mut clerk, "users.erase", &[world.bob.id], &[]).await;
    assert_eq!(reply.status, 403);
    let mut eraser = app.staff("eraser", &["users.view", "users.erase"]).await;
    let reply = send_action(&app, &mut eraser, "users.erase", &[world.inactive.id], &[]).await;
    assert!(follow(&app, &mut eraser, reply).await.contains("Done: 1 user."));
}
