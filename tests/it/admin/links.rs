//! Shows, bookings, orders and customers are linked both ways. Who may pay, refund and cancel.

use std::collections::BTreeSet;

use marquee::admin::Permission;
use marquee::admin_site::SITE;
use serde_json::Value;

use crate::api::holds::{act, hold, post};
use crate::support::{App, Browser, Engine, Options, booking};

tests! {
    admin_links: [
        everything_leads_to_what_belongs_to_it,
        links_need_permission,
        single_bookings_are_paid_and_refunded_as_orders,
        paying_refunding_and_cancelling_are_separate_permissions,
        ready_groups_have_known_permissions,
        permissions_are_a_table,
        groups_keep_what_they_could_do,
    ]
}

async fn open(app: &App, who: &mut Browser, path: &str) -> String {
    who.get(app, format!("/admin/{path}")).await.expect(200).text
}

#[track_caller]
fn leads_to(page: &str, paths: &[String]) {
    for path in paths {
        assert!(page.contains(&format!("href=\"/admin/{path}\"")), "no link to {path} in {page}");
    }
}

fn id_of(object: &Value) -> i64 {
    object["id"].as_i64().expect("an id")
}

async fn everything_leads_to_what_belongs_to_it(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut root = app.superuser("root").await;
    let held = hold(&world.ann, 1, &[3, 4]).send(&app).await.expect(201).json();
    let order = act(&world.ann, &held, "confirm").send(&app).await.expect(201).json();
    let [kept, gone] = [0, 1].map(|place| id_of(&order["bookings"][place]));
    let (order_id, ann) = (id_of(&held), world.ann.id);
    post(&world.ann, &format!("/api/bookings/{gone}/cancel/")).send(&app).await.expect(200);

    let of_show = ["bookings/?show=1", "orders/?show=1", "holds/?show=1"].map(str::to_owned);
    let page = open(&app, &mut root, "shows/1/change/").await;
    leads_to(&page, &of_show);
    // The numbers are links, too.
    assert!(page.contains("<a href=\"/admin/bookings/?show=1\">1</a>"), "{page}");
    leads_to(&open(&app, &mut root, "shows/").await, &of_show[..1]);

    let up = [format!("orders/{order_id}/change/"), format!("users/{ann}/change/"), "shows/1/change/".to_owned()];
    leads_to(&open(&app, &mut root, &format!("bookings/{kept}/change/")).await, &up);
    leads_to(&open(&app, &mut root, "bookings/").await, &up);

    // An order shows its seats, also the one that was cancelled.
    let page = open(&app, &mut root, &format!("orders/{order_id}/change/")).await;
    leads_to(&page, &up[1..]);
    leads_to(&page, &[kept, gone].map(|id| format!("bookings/{id}/change/")));
    assert!(page.contains("<td>Booked</td>") && page.contains("<td>Cancelled</td>"), "{page}");
    let list = open(&app, &mut root, "orders/").await;
    assert!(list.contains("<bdi>3</bdi>") && list.contains("<bdi>4</bdi>"), "{list}");
    let found = open(&app, &mut root, &format!("bookings/?order={order_id}")).await;
    assert!(found.contains("2 bookings"), "{found}");

    let of_user = ["bookings", "orders", "holds"].map(|list| format!("{list}/?user={ann}"));
    leads_to(&open(&app, &mut root, &format!("users/{ann}/change/")).await, &of_user);
    leads_to(&open(&app, &mut root, "movies/1/change/").await, &["shows/?movie=1".to_owned()]);
}

async fn links_need_permission(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let booked = id_of(&booking(&world.ann, 1, 3).send(&app).await.expect(201).json());
    let mut viewer = app.staff("viewer", &["shows.view", "bookings.view"]).await;
    for path in ["shows/1/change/".to_owned(), format!("bookings/{booked}/change/"), "bookings/".to_owned()] {
        let page = open(&app, &mut viewer, &path).await;
        for hidden in ["/admin/orders/", "/admin/users/", "/admin/holds/"] {
            assert!(!page.contains(hidden), "{hidden} at {path}: {page}");
        }
    }
    leads_to(&open(&app, &mut viewer, "shows/1/change/").await, &["bookings/?show=1".to_owned()]);
}

async fn single_bookings_are_paid_and_refunded_as_orders(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut root = app.superuser("root").await;
    let booked = id_of(&booking(&world.ann, 1, 3).send(&app).await.expect(201).json());
    let orders = crate::api::holds::get(&world.ann, "/api/orders/").send(&app).await.expect(200).json();
    let code = orders["results"][0]["code"].as_str().expect("a code");
    let found = open(&app, &mut root, &format!("orders/?q={code}")).await;
    assert!(found.contains("1 order<") && found.contains(code), "{found}");
    for (action, status) in [("paid", "paid"), ("refund", "refunded")] {
        let id = booked.to_string();
        root.post(&app, format!("/admin/orders/actions/{action}/"), &[("ids", &id)]).await;
        assert_eq!(app.sql(&format!("SELECT status FROM orders WHERE id = {booked}")).await, [[status]]);
    }
    assert_eq!(app.sql(&format!("SELECT status FROM bookings WHERE id = {booked}")).await, [["cancelled"]]);
}

async fn paying_refunding_and_cancelling_are_separate_permissions(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let booked = id_of(&booking(&world.ann, 1, 3).send(&app).await.expect(201).json()).to_string();
    let view = ["shows.view", "bookings.view", "orders.view"];
    let all = ["orders.pay", "orders.refund", "orders.cancel", "shows.cancel"];
    let actions = [
        ("orders", "paid", &["orders.pay"][..]),
        ("orders", "refund", &["orders.refund"]),
        ("orders", "cancel", &["orders.cancel"]),
        ("bookings", "cancel", &["orders.cancel"]),
        ("shows", "cancel", &["shows.cancel", "orders.cancel"]),
    ];
    for (model, action, needed) in actions {
        let path = format!("/admin/{model}/actions/{action}/?ids={}", if model == "shows" { "1" } else { &booked });
        for missing in needed {
            let given: Vec<&str> = view.into_iter().chain(all.into_iter().filter(|one| one != missing)).collect();
            let mut clerk = app.staff(&format!("{model}_{action}_{}", missing.replace('.', "_")), &given).await;
            clerk.get(&app, &path).await.expect(403);
        }
        let given: Vec<&str> = view.into_iter().chain(needed.iter().copied()).collect();
        let mut clerk = app.staff(&format!("{model}_{action}"), &given).await;
        clerk.get(&app, &path).await.expect(200);
    }
}

async fn ready_groups_have_known_permissions(engine: Engine) {
    let app = App::start(engine).await;
    let groups = app.sql("SELECT name FROM staff_groups ORDER BY name").await;
    assert_eq!(groups, [["Counter"], ["Manager"], ["Programme"]]);
    let known: BTreeSet<String> = SITE.permissions().into_iter().collect();
    for given in app.sql("SELECT DISTINCT permission FROM group_permissions").await.concat() {
        assert!(known.contains(&given), "nobody can be granted {given}");
    }
    let has = async |group: &str, permission: &str| {
        let sql = format!(
            "SELECT COUNT(*) FROM group_permissions p JOIN staff_groups g ON g.id = p.group_id
             WHERE g.name = '{group}' AND p.permission = '{permission}'"
        );
        app.sql(&sql).await == [["1"]]
    };
    for (group, permission, expected) in [
        ("Counter", "orders.pay", true),
        ("Counter", "orders.cancel", true),
        ("Counter", "orders.refund", false),
        ("Counter", "shows.change", false),
        ("Programme", "shows.change", true),
        ("Programme", "orders.pay", false),
        ("Programme", "shows.cancel", false),
        ("Manager", "orders.refund", true),
        ("Manager", "shows.cancel", true),
    ] {
        assert_eq!(has(group, permission).await, expected, "{group}: {permission}");
    }
}

/// A line for each model, and a column for each right; permissions that no longer exist stay until someone removes them.
async fn permissions_are_a_table(engine: Engine) {
    let app = App::start(engine).await;
    let mut root = app.superuser("root").await;
    app.sql("INSERT INTO staff_groups (id, name) VALUES (77, 'Clerks')").await;
    app.sql("INSERT INTO group_permissions (group_id, permission) VALUES (77, 'orders.pay'), (77, 'popcorn.sell')")
        .await;
    let page = open(&app, &mut root, "groups/77/change/").await;
    let (_, table) = page.split_once("<fieldset class=\"permissions\"").expect("a table");
    let (table, _) = table.split_once("</fieldset>").expect("its end");
    let heads: Vec<&str> =
        table.split("<th scope=\"col\">").skip(1).map(|rest| rest.split('<').next().unwrap()).collect();
    assert_eq!(heads, ["View", "Add", "Change", "Delete", "Pay", "Refund", "Cancel", "Erase"]);
    let (body, others) = table.split_once("</tbody>").expect("the end of the lines");
    let rows: Vec<&str> = body.split("<th scope=\"row\">").skip(1).collect();
    assert_eq!(rows.len(), SITE.models().count());
    for (model, row) in SITE.models().zip(rows) {
        let cells: Vec<&str> = row.split("<td>").skip(1).collect();
        assert_eq!(cells.len(), heads.len(), "{row}");
        for (permission, cell) in Permission::ALL.into_iter().zip(cells) {
            let value = format!("value=\"{}.{}\"", model.name, permission.name());
            assert_eq!(cell.contains(&value), model.has(permission), "{value}: {cell}");
            assert_eq!(cell.contains(" checked"), model.name == "orders" && permission == Permission::Pay, "{cell}");
        }
    }
    assert!(others.contains("value=\"popcorn.sell\" checked"), "{table}");
    let form = [("name", "Clerks"), ("permissions", "orders.view"), ("permissions", "popcorn.sell"), ("_version", "1")];
    root.post(&app, "/admin/groups/77/change/", &form).await.expect(303);
    let stored = app.sql("SELECT permission FROM group_permissions WHERE group_id = 77 ORDER BY permission").await;
    assert_eq!(stored.concat(), ["orders.view", "popcorn.sell"]);
    let unknown = [("name", "Clerks"), ("permissions", "orders.sell"), ("_version", "2")];
    root.post(&app, "/admin/groups/77/change/", &unknown).await.expect(422);
}

/// A group of an earlier version with the permission to change orders could take payments, and one that is called
/// "Counter" already stays as it is.
async fn groups_keep_what_they_could_do(engine: Engine) {
    let app = App::start_with(engine, Options { instances: 0, ..Options::default() }).await;
    app.succeed(&["migrate"]);
    let drop_indexes = match engine {
        Engine::Sqlite => ["DROP INDEX admin_log_by_time", "DROP INDEX orders_by_status"],
        _ => ["ALTER TABLE admin_log DROP KEY admin_log_by_time", "ALTER TABLE orders DROP KEY orders_by_status"],
    };
    for sql in drop_indexes {
        app.sql(sql).await;
    }
    for sql in [
        "DELETE FROM marquee_migrations WHERE number = 14",
        "ALTER TABLE bookings DROP COLUMN cancelled_by",
        "DROP TABLE used_forms",
        "DELETE FROM group_permissions",
        "DELETE FROM staff_groups",
        "INSERT INTO staff_groups (id, name) VALUES (101, 'Counter'), (102, 'Payers'), (103, 'All')",
        "INSERT INTO group_permissions (group_id, permission) VALUES (101, 'movies.view'), (102, 'orders.change'), \
         (103, 'orders.change'), (103, 'bookings.change'), (103, 'holds.change'), (103, 'shows.change')",
    ] {
        app.sql(sql).await;
    }
    app.succeed(&["migrate"]);
    let permissions = async |group: &str| {
        let sql = format!(
            "SELECT p.permission FROM group_permissions p JOIN staff_groups g ON g.id = p.group_id
             WHERE g.name = '{group}' ORDER BY p.permission"
        );
        app.sql(&sql).await.concat()
    };
    assert_eq!(permissions("Counter").await, ["movies.view"]);
    assert_eq!(permissions("Payers").await, ["orders.change", "orders.pay", "orders.view"]);
    let all = permissions("All").await;
    for new in ["orders.cancel", "orders.pay", "orders.refund", "shows.cancel", "bookings.view"] {
        assert!(all.iter().any(|one| one == new), "{new}: {all:?}");
    }
    assert!(permissions("Manager").await.len() > 15);
}
