//! Money: tills that are opened and closed, payments and refunds, and the check of the ledger.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use serde_json::{Value, json};

use super::cinema::{follow, run, send_action};
use crate::api::holds::{act, get, hold, post};
use crate::api::prices::with_prices;
use crate::support::{App, Browser, Engine, User, booking};

tests! {
    admin_money: [
        a_day_at_a_till,
        money_needs_a_till_that_is_open,
        cancelled_seats_leave_a_refund_due,
        free_tickets_are_entered_online,
        a_refund_gives_each_ticket_back_once,
        orders_without_prices_need_no_till,
        two_tills_take_money_at_the_same_time,
        a_changed_ledger_is_found,
        the_database_refuses_changes_of_the_ledger,
    ]
}

/// Adds a till and opens it with 50.00 in cash. Returns the id of its day.
async fn open_till(app: &App, who: &mut Browser, name: &str) -> i64 {
    let reply = who.post(app, "/admin/tills/add/", &[("name", name)]).await;
    assert_eq!(reply.status, 303, "{}", reply.text);
    let id = till(app, name).await;
    run(app, who, "tills.open", &[id], &[("amount", "50")]).await;
    app.sql(&format!("SELECT id FROM till_days WHERE till_id = {id}")).await[0][0].parse().expect("an id")
}

async fn till(app: &App, name: &str) -> i64 {
    app.sql(&format!("SELECT id FROM tills WHERE name = '{name}'")).await[0][0].parse().expect("an id")
}

async fn said(app: &App, who: &mut Browser, action: &str, ids: &[i64], fields: &[(&str, &str)]) -> String {
    let reply = send_action(app, who, action, ids, fields).await;
    if reply.status == 303 { follow(app, who, reply).await } else { reply.text }
}

async fn order(app: &App, user: &User, seats: &[i64]) -> (i64, Value) {
    let held = hold(user, 1, seats).send(app).await.expect(201).json();
    let order = act(user, &held, "confirm").send(app).await.expect(201).json();
    (held["id"].as_i64().expect("an id"), order)
}

/// Returns an order's code as part of its path.
fn path_of(order: &Value) -> String {
    format!("/api/orders/{}/", order["code"].as_str().expect("a code"))
}

async fn sums(app: &App) -> Vec<Vec<String>> {
    app.sql("SELECT number, kind, method, amount, tax, admissions FROM ledger ORDER BY till_day_id, number").await
}

/// Checks that everything agrees, as `marquee check --ledger` says.
fn agrees(app: &App) {
    let output = app.marquee(&["check", "--ledger"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.contains("ok    the ledger agrees with its closed days and with the seats"), "{text}");
}

async fn a_day_at_a_till(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    with_prices(&app).await;
    let mut root = app.superuser("root").await;
    let day = open_till(&app, &mut root, "Box 1").await;
    let (id, one) = order(&app, &world.ann, &[1, 2]).await;
    let page = root.get(&app, format!("/admin/orders/actions/paid/?ids={id}")).await.expect(200).text;
    assert!(page.contains("Box 1, ") && page.contains("By card terminal"), "{page}");
    assert!(page.contains("The customer pays 25.00 EUR."), "{page}");
    run(&app, &mut root, "orders.paid", &[id], &[("method", "cash")]).await;
    let (two, _) = order(&app, &world.bob, &[3]).await;
    run(&app, &mut root, "orders.paid", &[two], &[("method", "card")]).await;
    let paid = get(&world.ann, &path_of(&one)).send(&app).await.expect(200).json();
    assert_eq!(json!([paid["status"], paid["total"]]), json!(["paid", 2500]));
    run(&app, &mut root, "till_days.pay_in", &[day], &[("amount", "10"), ("note", "Change")]).await;
    run(&app, &mut root, "till_days.pay_out", &[day], &[("amount", "3,50"), ("note", "Milk")]).await;
    run(&app, &mut root, "orders.refund", &[two], &[("method", "card")]).await;
    let expected = [
        ["1", "float", "cash", "5000", "0", "0"],
        ["2", "payment", "cash", "1250", "82", "1"],
        ["3", "payment", "cash", "1250", "82", "1"],
        ["4", "payment", "card", "1250", "82", "1"],
        ["5", "pay_in", "cash", "1000", "0", "0"],
        ["6", "pay_out", "cash", "-350", "0", "0"],
        ["7", "refund", "card", "-1250", "-82", "-1"],
    ];
    assert_eq!(sums(&app).await, expected);
    agrees(&app);
    let page = root.get(&app, format!("/admin/till_days/{day}/change/")).await.expect(200).text;
    for text in ["81.50", "50.00", "Open"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    // The cash is counted, and 1.50 is missing.
    let page = said(&app, &mut root, "till_days.close", &[day], &[("amount", "80"), ("note", "Recount")]).await;
    assert!(page.contains("1.50 is missing."), "{page}");
    let row = app.sql(&format!("SELECT expected, counted, note FROM till_days WHERE id = {day}")).await;
    assert_eq!(row, [["8150", "8000", "Recount"]]);
    agrees(&app);
    // From now on, the day is as it is.
    for (action, ids, fields) in [
        ("till_days.pay_in", [day], [("amount", "1"), ("note", "x")]),
        ("till_days.close", [day], [("amount", "80"), ("note", "")]),
        ("tills.open", [till(&app, "Box 1").await], [("amount", "1"), ("note", "")]),
        ("orders.refund", [id], [("method", "cash"), ("till", "")]),
    ] {
        let page = said(&app, &mut root, action, &ids, &fields).await;
        assert!(page.contains("Nothing was done") || page.contains("closed"), "{action}: {page}");
    }
    assert_eq!(sums(&app).await, expected);
}

async fn money_needs_a_till_that_is_open(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    with_prices(&app).await;
    let mut root = app.superuser("root").await;
    let (id, _) = order(&app, &world.ann, &[1]).await;
    let page = said(&app, &mut root, "orders.paid", &[id], &[]).await;
    assert!(page.contains("No till is open. Open one first."), "{page}");
    let first = open_till(&app, &mut root, "Box 1").await;
    let second = open_till(&app, &mut root, "Box 2").await;
    // With two tills, someone has to choose.
    let page = said(&app, &mut root, "orders.paid", &[id], &[]).await;
    assert!(page.contains("No till is open. Open one first."), "{page}");
    let page = said(&app, &mut root, "orders.paid", &[id], &[("till", "99")]).await;
    assert!(page.contains("This till is not open today."), "{page}");
    run(&app, &mut root, "orders.paid", &[id], &[("till", &second.to_string())]).await;
    // A till of yesterday has to be closed before it is opened again.
    app.sql(&format!("UPDATE till_days SET day = '2020-01-01' WHERE id = {first}")).await;
    let page = said(&app, &mut root, "tills.open", &[till(&app, "Box 1").await], &[("amount", "1")]).await;
    assert!(page.contains("Box 1 is still open for 2020-01-01. Close that day first."), "{page}");
    for (amount, message) in [("", "This field is required."), ("x", "Enter an amount"), ("-1", "Enter an amount")] {
        let page = said(&app, &mut root, "till_days.close", &[second], &[("amount", amount)]).await;
        assert!(page.contains(message), "{amount}: {page}");
    }
    let page = said(&app, &mut root, "till_days.pay_out", &[second], &[("amount", "0"), ("note", "x")]).await;
    assert!(page.contains("Enter an amount above zero."), "{page}");
}

async fn cancelled_seats_leave_a_refund_due(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    with_prices(&app).await;
    let mut root = app.superuser("root").await;
    open_till(&app, &mut root, "Box 1").await;
    let (id, order) = order(&app, &world.ann, &[1, 2, 3]).await;
    run(&app, &mut root, "orders.paid", &[id], &[]).await;
    let path = path_of(&order);
    let cancelled = post(&world.ann, &format!("{path}cancel/")).json(json!({ "seats": [2] })).send(&app).await;
    let cancelled = cancelled.expect(200).json();
    let about = |order: &Value| json!([order["status"], order["total"], order["refund_due"]]);
    assert_eq!(about(&cancelled), json!(["refund_due", 2500, 1250]));
    assert_eq!(get(&world.ann, &path).send(&app).await.expect(200).json(), cancelled);
    assert_eq!(get(&world.ann, "/api/orders/").send(&app).await.expect(200).json()["results"], json!([cancelled]));
    agrees(&app);
    let list = root.get(&app, "/admin/orders/?due=due").await.expect(200).text;
    assert!(list.contains(order["code"].as_str().expect("a code")), "{list}");
    let page = root.get(&app, format!("/admin/orders/actions/refund_due/?ids={id}")).await.expect(200).text;
    assert!(page.contains("The customer gets 12.50 EUR back."), "{page}");
    run(&app, &mut root, "orders.refund_due", &[id], &[]).await;
    let settled = get(&world.ann, &path).send(&app).await.expect(200).json();
    assert_eq!(about(&settled), json!(["paid", 2500, null]));
    let page = said(&app, &mut root, "orders.refund_due", &[id], &[]).await;
    assert!(page.contains("No refund is due for this order."), "{page}");
    // A cancelled show leaves the rest due, and a refund of the order returns just that.
    run(&app, &mut root, "shows.cancel", &[1], &[]).await;
    let left = get(&world.ann, &path).send(&app).await.expect(200).json();
    assert_eq!(about(&left), json!(["refund_due", 0, 2500]));
    agrees(&app);
    let page = root.get(&app, format!("/admin/orders/actions/refund/?ids={id}")).await.expect(200).text;
    assert!(page.contains("The customer gets 25.00 EUR back."), "{page}");
    run(&app, &mut root, "orders.refund", &[id], &[]).await;
    let over = get(&world.ann, &path).send(&app).await.expect(200).json();
    assert_eq!(about(&over), json!(["refunded", 0, null]));
    assert_eq!(
        app.sql("SELECT SUM(amount), SUM(admissions) FROM ledger WHERE order_id IS NOT NULL").await,
        [["0", "0"]]
    );
    agrees(&app);
}

async fn free_tickets_are_entered_online(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    with_prices(&app).await;
    // The default ticket is free of charge.
    app.sql("UPDATE prices SET amount = 0, tax = 0, reported = 0").await;
    let (_, order) = order(&app, &world.ann, &[1, 2]).await;
    assert_eq!(json!([order["status"], order["total"]]), json!(["paid", 0]));
    booking(&world.ann, 1, 3).send(&app).await.expect(201);
    let free = ["free", "free", "0", "0", "1"];
    let with_number = |numbers: &[&str]| -> Vec<Vec<String>> {
        numbers
            .iter()
            .map(|number| [&[*number][..], &free[..]].concat().iter().map(|text| (*text).to_owned()).collect())
            .collect()
    };
    assert_eq!(sums(&app).await, with_number(&["1", "2", "3"]));
    // Nobody opens, closes or renames the till.
    let mut root = app.superuser("root").await;
    let online = till(&app, "Online").await;
    let page = said(&app, &mut root, "tills.open", &[online], &[("amount", "1")]).await;
    assert!(page.contains("Nothing was done"), "{page}");
    let version = app.sql("SELECT version FROM tills").await[0][0].clone();
    let changed = [("name", "Web"), ("_version", version.as_str())];
    let page = root.post(&app, format!("/admin/tills/{online}/change/"), &changed).await;
    assert!(page.text.contains("This till opens and closes by itself."), "{}", page.text);
    // A free ticket is given back without anyone's help.
    let path = path_of(&order);
    let left = post(&world.ann, &format!("{path}cancel/")).json(json!({ "seats": [2] })).send(&app).await.expect(200);
    assert_eq!(json!([left.json()["status"], left.json()["refund_due"]]), json!(["paid", null]));
    assert_eq!(app.sql("SELECT SUM(admissions) FROM ledger").await, [["2"]]);
    agrees(&app);
    // The day of the till is closed when it is over.
    app.sql("UPDATE till_days SET opened_at = 1").await;
    app.sql("UPDATE jobs SET next_at = 1 WHERE name = 'online till'").await;
    assert!(app.instance(0).stop().await.success());
    app.instance(0).restart().await;
    while app.sql("SELECT COUNT(*) FROM till_days WHERE closed_at IS NULL").await != [["0"]] {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    agrees(&app);
}

async fn a_refund_gives_each_ticket_back_once(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    with_prices(&app).await;
    let mut root = app.superuser("root").await;
    open_till(&app, &mut root, "Box 1").await;
    let (id, order) = order(&app, &world.ann, &[1, 2, 3]).await;
    assert_eq!(order["total"], 3750);
    app.sql(&format!("UPDATE bookings SET price_id = 14 WHERE order_id = {id} AND seat_number > 1")).await;
    run(&app, &mut root, "orders.paid", &[id], &[]).await;
    post(&world.ann, &format!("{}cancel/", path_of(&order))).json(json!({ "seats": [2] })).send(&app).await.expect(200);
    run(&app, &mut root, "orders.refund", &[id], &[]).await;
    // One seat was paid for; two were those of companions, free of charge, and one of them was cancelled before.
    let by_seat = "SELECT seat, SUM(admissions), SUM(amount), COUNT(*) FROM ledger WHERE order_id IS NOT NULL
                   GROUP BY seat ORDER BY seat";
    assert_eq!(app.sql(by_seat).await, [["1", "0", "0", "2"], ["2", "0", "0", "2"], ["3", "0", "0", "2"]]);
    agrees(&app);
}

async fn orders_without_prices_need_no_till(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut root = app.superuser("root").await;
    let (id, _) = order(&app, &world.ann, &[1]).await;
    run(&app, &mut root, "orders.paid", &[id], &[]).await;
    run(&app, &mut root, "orders.refund", &[id], &[]).await;
    assert!(sums(&app).await.is_empty());
    agrees(&app);
}

async fn two_tills_take_money_at_the_same_time(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    with_prices(&app).await;
    let mut root = app.superuser("root").await;
    let first = open_till(&app, &mut root, "Box 1").await.to_string();
    let second = open_till(&app, &mut root, "Box 2").await.to_string();
    let mut orders = Vec::new();
    for seat in 1..=20 {
        orders.push(order(&app, if seat % 2 == 0 { &world.ann } else { &world.bob }, &[seat]).await.0);
    }
    // Each order is paid at both tills, and one of them is too late.
    let mut other = app.superuser("second").await;
    let ids: Vec<i64> = orders.iter().rev().copied().collect();
    let tills = [[("till", first.as_str())], [("till", second.as_str())]];
    futures_util::join!(
        said(&app, &mut root, "orders.paid", &orders, &tills[0]),
        said(&app, &mut other, "orders.paid", &ids, &tills[1])
    );
    let paid = app.sql("SELECT COUNT(*), SUM(amount) FROM ledger WHERE kind = 'payment'").await;
    assert_eq!(paid, [["20", "25000"]]);
    assert_eq!(app.sql("SELECT COUNT(*) FROM orders WHERE status = 'paid'").await, [["20"]]);
    agrees(&app);
}

async fn a_changed_ledger_is_found(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    with_prices(&app).await;
    let mut root = app.superuser("root").await;
    let day = open_till(&app, &mut root, "Box 1").await;
    let (id, _) = order(&app, &world.ann, &[1, 2]).await;
    run(&app, &mut root, "orders.paid", &[id], &[]).await;
    run(&app, &mut root, "till_days.close", &[day], &[("amount", "75")]).await;
    agrees(&app);
    // SQLite refuses to change the ledger; someone with the file can still do so.
    if engine == Engine::Sqlite {
        app.sql("DROP TRIGGER ledger_rows_stay").await;
        app.sql("DROP TRIGGER ledger_rows_are_kept").await;
    }
    let finds = |text: &str| {
        let output = app.marquee(&["check", "--ledger"]);
        let found = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(!output.status.success() && found.contains(text), "{text}: {found}");
    };
    app.sql("UPDATE ledger SET amount = 1240 WHERE number = 2").await;
    finds("the close says 7500 in cash, and its entries 7490");
    finds("ledger: order ");
    app.sql("UPDATE ledger SET amount = 1250, note = 'x' WHERE number = 2").await;
    finds("an entry, the close or an earlier close was changed");
    app.sql("UPDATE ledger SET note = '' WHERE number = 2").await;
    agrees(&app);
    app.sql(&format!("UPDATE till_days SET counted = 7400 WHERE id = {day}")).await;
    finds("an entry, the close or an earlier close was changed");
    app.sql("UPDATE till_days SET counted = 7500, expected = 7400").await;
    finds("the close says 7400 in cash, and its entries 7500");
    app.sql("UPDATE till_days SET expected = 7500").await;
    agrees(&app);
    app.sql("UPDATE ledger SET number = 9 WHERE number = 2").await;
    finds("entry 2 is missing");
    app.sql("DELETE FROM ledger WHERE order_id IS NOT NULL").await;
    finds("is paid and has no entry in the ledger");
}

async fn the_database_refuses_changes_of_the_ledger(engine: Engine) {
    let app = App::start(engine).await;
    let text = |output: std::process::Output| String::from_utf8(output.stdout).expect("UTF-8");
    let migrated = text(app.succeed(&["migrate"]));
    let is_protected = text(app.marquee(&["check"])).contains("ok    the database refuses changes of the ledger");
    // A server with a binary log lets only administrators make triggers; then the statements are there for them.
    let statement = migrated.split_once("an administrator can do it with: ").map(|(_, rest)| rest.to_owned());
    assert_eq!(is_protected, statement.is_none(), "{migrated}");
    if let Some(statements) = statement {
        assert!(statements.contains("CREATE TRIGGER IF NOT EXISTS ledger_rows_stay"), "{statements}");
        return;
    }
    let world = app.world().await;
    with_prices(&app).await;
    let mut root = app.superuser("root").await;
    open_till(&app, &mut root, "Box 1").await;
    let (id, _) = order(&app, &world.ann, &[1]).await;
    run(&app, &mut root, "orders.paid", &[id], &[]).await;
    let before = sums(&app).await;
    for sql in ["UPDATE ledger SET amount = 1", "DELETE FROM ledger"] {
        assert!(AssertUnwindSafe(app.sql(sql)).catch_unwind().await.is_err(), "{sql}");
    }
    assert_eq!(sums(&app).await, before);
}
