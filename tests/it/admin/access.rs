//! Who can use the admin panel, and who cannot.

use std::collections::BTreeSet;

use marquee::admin::guard::{Needs, Route};
use marquee::admin::{Model, Permission};
use marquee::admin_site::SITE;
use marquee::router::admin_panel;

use super::sessions::hash_of;
use crate::api::holds::{act, hold};
use crate::support::staff::PASSWORD;
use crate::support::{App, Browser, Call, Engine, Options, Reply};

tests! {
    admin_access: [
        few_paths_are_public once,
        every_path_refuses_users_without_permission,
        every_path_needs_its_permission,
        some_models_are_only_for_superusers,
        every_form_needs_its_token,
        permissions_apply_immediately,
        refusals_are_pages,
        a_page_reports_a_missing_database on SHARED,
        an_action_needs_permission_for_all_its_changes,
    ]
}

/// A method and a path, with all parameters filled in.
struct Step {
    route: Route,
    method: &'static str,
    path: String,
    model: Option<&'static Model>,
    /// The access it requires; that of the action if the path is an action's.
    needs: Needs,
}

/// Every method on every path of the panel, for every model and every action. The list comes from the program, so that
/// new ones are tried too.
fn steps() -> Vec<Step> {
    let mut steps = Vec::new();
    for (route, _) in admin_panel() {
        let mut paths: Vec<(String, Option<&'static Model>, Option<Permission>)> = Vec::new();
        if route.path.contains("{model}") {
            for model in SITE.models() {
                let path = route.path.replace("{model}", model.name).replace("{id}", "1");
                if !path.contains("{action}") {
                    paths.push((path, Some(model), None));
                    continue;
                }
                // Every model whose objects can be deleted also has the action "delete".
                let delete = model.delete.is_some().then_some(("delete", Permission::Delete));
                let actions = model.actions.iter().map(|action| (action.name, action.needs)).chain(delete);
                paths.extend(actions.map(|(name, needs)| (path.replace("{action}", name), Some(model), Some(needs))));
            }
        } else {
            paths.push((route.path.replace("{file}", "admin.css").replace("{plan}", "rows-50"), None, None));
        }
        for (path, model, of_action) in paths {
            assert!(!path.contains('{'), "{path} has a parameter that this test does not know");
            for (method, needs) in [("GET", route.get), ("POST", route.post)] {
                let needs = of_action.map_or(needs, Needs::On);
                steps.push(Step { route, method, path: path.clone(), model, needs });
            }
        }
    }
    assert!(steps.len() > 100, "{} steps", steps.len());
    steps
}

impl Step {
    fn is_no_such(&self) -> bool {
        self.needs == Needs::NoSuch
    }

    fn is_for_anyone(&self) -> bool {
        self.needs == Needs::Nothing
    }

    /// The call, with a body that would change something if it were accepted.
    fn call(&self, csrf: Option<&str>) -> Call {
        self.call_with(csrf, &[])
    }

    fn call_with(&self, csrf: Option<&str>, headers: &[(&str, &str)]) -> Call {
        let mut call = Call::method(self.method, &self.path);
        for (name, value) in headers {
            call = call.header(name, *value);
        }
        if self.method == "GET" {
            return call;
        }
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(csrf.map(|csrf| ("csrf", csrf)));
        body.extend_pairs([
            ("title", "Forged"),
            ("name", "Forged"),
            ("duration_minutes", "7"),
            ("username", "forged"),
            ("password", "Forged-Harbour-71"),
            ("old", PASSWORD),
            ("new", "Forged-Harbour-71"),
            ("again", "Forged-Harbour-71"),
            ("email", "forged@example.com"),
            ("_version", "1"),
            ("id", "1"),
            ("ids", "1"),
            ("confirm", "1"),
        ]);
        call.body(Some("application/x-www-form-urlencoded"), body.finish())
    }

    fn shown(&self, who: &str, reply: &Reply) -> String {
        format!("{} {} as {who}: {} {:?}", self.method, self.path, reply.status, reply.header("location"))
    }
}

/// Everything that the panel can change, for comparison.
pub async fn state(app: &App) -> Vec<Vec<Vec<String>>> {
    let mut state = Vec::new();
    for sql in [
        "SELECT id, username, email, first_name, last_name, password, is_active, is_staff, is_superuser, version FROM users ORDER BY id",
        "SELECT * FROM movies ORDER BY id",
        "SELECT * FROM screens ORDER BY id",
        "SELECT * FROM shows ORDER BY id",
        "SELECT id, user_id, show_id, seat_number, status FROM bookings ORDER BY id",
        "SELECT * FROM blocked_seats ORDER BY id",
        "SELECT * FROM standing_blocks ORDER BY screen_id, seat_number",
        "SELECT * FROM ticket_types ORDER BY id",
        "SELECT * FROM price_cards ORDER BY id",
        "SELECT * FROM card_versions ORDER BY id",
        "SELECT * FROM prices ORDER BY id",
        "SELECT * FROM price_rules ORDER BY id",
        "SELECT * FROM staff_groups ORDER BY id",
        "SELECT * FROM group_permissions ORDER BY group_id, permission",
        "SELECT * FROM group_members ORDER BY user_id, group_id",
        "SELECT HEX(token_hash), user_id FROM admin_sessions ORDER BY token_hash",
        "SELECT id, model, action FROM admin_log ORDER BY id",
    ] {
        state.push(app.sql(sql).await);
    }
    state
}

async fn few_paths_are_public() {
    let routes = admin_panel();
    let named = |wanted: &dyn Fn(&Route) -> bool| -> BTreeSet<&str> {
        routes.iter().map(|(route, _)| route).filter(|route| wanted(route)).map(|route| route.path).collect()
    };
    let for_anyone = named(&|route| [route.get, route.post].contains(&Needs::Nothing));
    assert_eq!(for_anyone, ["/admin/login/", "/admin/static/{file}"].into());
    let for_staff = named(&|route| [route.get, route.post].contains(&Needs::Login));
    let places = "/admin/plans/{plan}/places.css";
    assert_eq!(
        for_staff,
        ["/admin/", "/admin/door/", "/admin/log/", "/admin/logout/", "/admin/password/", "/admin/timetable/", places]
            .into()
    );
    // A change needs more than permission to view; actions declare the permission they need.
    let changing = named(&|route| route.post == Needs::On(Permission::View));
    assert_eq!(changing, ["/admin/{model}/actions/{action}/"].into());
    assert!(routes.iter().all(|(route, _)| route.path.starts_with("/admin/")));
}

/// Checks that the reply redirects to the login, or refuses the method if it does not exist.
fn is_sent_to_login(step: &Step, reply: &Reply) -> bool {
    let location = reply.header("location").unwrap_or_default();
    match (step.is_no_such(), step.method) {
        (true, _) => reply.status == 405,
        (false, "GET") => reply.status == 302 && location == format!("/admin/login/?next={}", step.path),
        (false, _) if step.route.get == Needs::NoSuch => {
            reply.status == 303 && location == "/admin/login/?next=/admin/"
        }
        (false, _) => reply.status == 303 && location == format!("/admin/login/?next={}", step.path),
    }
}

async fn every_path_refuses_users_without_permission(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let boss = app.superuser("boss").await;
    // A row that no login creates: the session of a customer, as if a staff member had lost that status.
    let mut customer = Browser::default();
    customer.get(&app, "/admin/login/").await.expect(200);
    let hash = hash_of(&customer);
    let row = format!(
        "INSERT INTO admin_sessions (token_hash, user_id, created_at, seen_at) VALUES (X'{hash}', {}, {now}, {now})",
        world.ann.id,
        now = marquee::time::clock::now(),
    );
    app.sql(&row).await;
    let mut forged = boss.clone();
    forged.cookies.insert("marquee_admin".into(), "A".repeat(43));
    let without = app.staff("clerk", &[]).await;
    let before = state(&app).await;

    for step in steps() {
        let mut strangers = vec![
            ("nobody", Browser::default()),
            ("a forged session", forged.clone()),
            ("a customer", customer.clone()),
            ("an empty cookie", Browser { cookies: [("marquee_admin".into(), String::new())].into(), ..boss.clone() }),
        ];
        for (who, browser) in &mut strangers {
            // A customer's API token does not help.
            let call = step.call(Some(&browser.csrf)).bearer(&world.ann.access);
            let reply = browser.send(app.base(), call).await;
            // With the right token, the form is kept for after the login.
            let is_kept = *who == "a customer" && step.method == "POST" && matches!(step.route.post, Needs::On(_));
            if is_kept {
                assert!(reply.status == 403 && reply.text.contains("name=\"kept_to\""), "{}", step.shown(who, &reply));
            } else if !step.is_for_anyone() {
                assert!(is_sent_to_login(&step, &reply), "{}", step.shown(who, &reply));
            }
        }
        for method in ["PUT", "PATCH", "DELETE", "OPTIONS"] {
            let reply = boss.clone().send(app.base(), Call::method(method, &step.path)).await;
            assert_eq!(reply.status, 405, "{method} {}", step.path);
        }
        if let Needs::On(_) = step.needs {
            let reply = without.clone().send(app.base(), step.call(Some(&without.csrf))).await;
            let refused = if step.is_no_such() { 405 } else { 403 };
            assert_eq!(reply.status, refused, "{}", step.shown("staff without permission", &reply));
        }
    }
    assert_eq!(state(&app).await, before);
}

/// Each path is refused with all permissions except the one that it needs.
async fn every_path_needs_its_permission(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    for needed in Permission::ALL {
        let name = needed.name();
        let others: Vec<String> = SITE
            .models()
            .flat_map(|model| Permission::ALL.map(|other| (model, other)))
            // Permission to change includes permission to view.
            .filter(|(_, other)| *other != needed && (needed != Permission::View || *other != Permission::Change))
            .map(|(model, other)| format!("{}.{}", model.name, other.name()))
            .collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let staff = app.staff(&format!("not_{name}"), &others).await;
        let before = state(&app).await;
        for step in steps().into_iter().filter(|step| step.needs == Needs::On(needed) && !step.is_no_such()) {
            let reply = staff.clone().send(app.base(), step.call(Some(&staff.csrf))).await;
            assert_eq!(reply.status, 403, "{}", step.shown(&format!("staff who may not {name}"), &reply));
        }
        assert_eq!(state(&app).await, before);
    }
}

/// Some models are only for superusers, whatever permissions a group has.
async fn some_models_are_only_for_superusers(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let all: Vec<String> = SITE
        .models()
        .flat_map(|model| Permission::ALL.map(|permission| format!("{}.{}", model.name, permission.name())))
        .collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let staff = app.staff("all", &all).await;
    let before = state(&app).await;
    for step in steps().into_iter().filter(|step| step.model.is_some_and(|model| model.for_superusers)) {
        let changes = matches!(step.needs, Needs::On(permission) if permission != Permission::View);
        if changes && !step.is_no_such() {
            let reply = staff.clone().send(app.base(), step.call(Some(&staff.csrf))).await;
            assert_eq!(reply.status, 403, "{}", step.shown("staff with all permissions", &reply));
        }
    }
    assert_eq!(state(&app).await, before);
}

async fn every_form_needs_its_token(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let boss = app.superuser("boss").await;
    let other = app.superuser("other").await;
    assert_ne!(boss.csrf, other.csrf);
    let here = app.base().to_owned();
    let elsewhere = here.replace("127.0.0.1", "localhost");
    let before = state(&app).await;
    for step in steps().into_iter().filter(|step| step.method == "POST" && !step.is_no_such()) {
        let token = Some(boss.csrf.as_str());
        let reversed: String = boss.csrf.chars().rev().collect();
        for (what, call) in [
            ("no token", step.call(None)),
            ("an empty token", step.call(Some(""))),
            ("a forged token", step.call(Some(&reversed))),
            ("another session's token", step.call(Some(&other.csrf))),
            ("a forged token in the header", step.call_with(None, &[("X-CSRF-Token", &reversed)])),
            ("another origin", step.call_with(token, &[("Origin", "http://evil.example")])),
            ("another host of this machine", step.call_with(token, &[("Origin", &elsewhere)])),
            ("no origin", step.call_with(token, &[("Origin", "null")])),
            ("another site", step.call_with(token, &[("Sec-Fetch-Site", "cross-site"), ("Origin", &here)])),
            ("another site of this domain", step.call_with(token, &[("Sec-Fetch-Site", "same-site")])),
        ] {
            let reply = boss.clone().send(app.base(), call).await;
            assert_eq!(reply.status, 403, "{what}: {}", step.shown("superuser", &reply));
            assert!(reply.text.contains("Nothing was changed"), "{what}: {}", step.shown("superuser", &reply));
        }
    }
    assert_eq!(state(&app).await, before);
    // With the token, from the same origin, and by a script.
    let form = |token: &str| {
        let body = form_urlencoded::Serializer::new(String::new()).append_pair("csrf", token).finish();
        Call::post("/admin/password/").body(Some("application/x-www-form-urlencoded"), body)
    };
    for call in [
        form(&boss.csrf).header("Origin", app.base()),
        form(&boss.csrf).header("Sec-Fetch-Site", "same-origin").header("Origin", "http://proxied.example"),
        form("").header("X-CSRF-Token", &*boss.csrf),
    ] {
        boss.clone().send(app.base(), call).await.expect(200);
    }
}

async fn permissions_apply_immediately(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let mut clerk = app.staff("clerk", &["movies.view"]).await;
    clerk.get(&app, "/admin/movies/").await.expect(200);
    clerk.get(&app, "/admin/screens/").await.expect(403);
    // The menu shows only permitted entries.
    let page = clerk.get(&app, "/admin/").await.expect(200).text;
    assert!(page.contains("href=\"/admin/movies/\"") && !page.contains("href=\"/admin/screens/\""), "{page}");

    app.sql("INSERT INTO group_permissions (group_id, permission) SELECT id, 'screens.change' FROM staff_groups WHERE name = 'clerk'")
        .await;
    clerk.get(&app, "/admin/screens/").await.expect(200);
    app.sql("DELETE FROM group_permissions WHERE permission = 'movies.view'").await;
    clerk.get(&app, "/admin/movies/").await.expect(403);

    for (taken, given) in [("is_active = 0", "is_active = 1"), ("is_staff = 0", "is_staff = 1")] {
        app.sql(&format!("UPDATE users SET {taken} WHERE username = 'clerk'")).await;
        clerk.get(&app, "/admin/screens/").await.expect(302);
        app.sql(&format!("UPDATE users SET {given} WHERE username = 'clerk'")).await;
        clerk.get(&app, "/admin/screens/").await.expect(200);
    }
}

async fn refusals_are_pages(engine: Engine) {
    let env = vec![("MAX_BODY_BYTES", "4096".to_owned())];
    let app = App::start_with(engine, Options { env, ..Options::default() }).await;
    let mut boss = app.superuser("boss").await;
    let clerk = app.staff("clerk", &[]).await;
    let large = "x".repeat(5_000);
    let form = boss.form(&[("old", &large)]);
    let of_forms = Some("application/x-www-form-urlencoded");
    for (browser, call, status) in [
        (&clerk, Call::get("/admin/movies/"), 403),
        (&boss, Call::get("/admin/nosuch/"), 404),
        (&boss, Call::get("/admin/movies/1/nosuch/"), 404),
        (&boss, Call::get("/admin/movies/x/change/"), 404),
        (&boss, Call::get("/admin/%ff/"), 404),
        (&boss, Call::get("/admin/%ff"), 404),
        (&boss, Call::get("/admin/static/%ff"), 404),
        (&boss, Call::get("/admin/movies/%ff/change/"), 404),
        (&boss, Call::post("/admin/movies/actions/%ff/"), 404),
        (&boss, Call::get("/admin/movies/999/history/"), 404),
        (&boss, Call::get("/admin/movies/99999999999999999999/history/"), 404),
        (&boss, Call::method("DELETE", "/admin/movies/1/change/"), 405),
        (&boss, Call::post("/admin/password/").body(of_forms, form), 413),
        (&boss, Call::post("/admin/password/").json(serde_json::json!({})), 415),
        (&boss, Call::post("/admin/password/").body(of_forms, ""), 403),
    ] {
        let shown = format!("{call:?}");
        let reply = browser.clone().send(app.base(), call).await;
        assert_eq!(reply.status, status, "{shown}");
        assert_eq!(reply.header("content-type").as_deref(), Some("text/html; charset=utf-8"), "{shown}");
        let id = reply.header("x-request-id").expect("an id");
        assert!(reply.text.contains(&id) && reply.text.contains("<h1>"), "{shown}: {}", reply.text);
        // Not if it was refused before the user was looked up.
        assert!(reply.text.contains("href=\"/admin/password/\"") || [404, 405].contains(&status), "{shown}: the menu");
    }
    // Pages explain errors, including those in fields.
    let none = boss.post(&app, "/admin/movies/actions/delete/", &[("all", "1")]).await.expect(400);
    assert!(none.text.contains("Select between 1 and 10000 movies."), "{}", none.text);
    let reply = Call::get("/admin/").header("Host", "evil.example").send(&app).await.expect(400);
    assert_eq!(reply.header("content-type").as_deref(), Some("text/html; charset=utf-8"));
    for path in ["/admin", "/admin/movies", "/admin/movies/1/change", "/admin/login"] {
        let reply = boss.get(&app, format!("{path}?a=b")).await.expect(301);
        assert_eq!(reply.header("location"), Some(format!("{path}/?a=b")));
    }

    // On every reply of every path, including replies without a handler.
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                  form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    let more = ["/admin", "/admin/nosuch/", "/admin/movies/1/nosuch/"].map(Call::get);
    let calls = steps().into_iter().filter(|step| step.method == "GET").map(|step| step.call(None)).chain(more);
    for call in calls {
        let shown = format!("{call:?}");
        for browser in [&mut boss, &mut Browser::default()] {
            let reply = browser.send(app.base(), call.clone()).await;
            assert_eq!(reply.header("content-security-policy").as_deref(), Some(policy), "{shown}");
            assert_eq!(reply.header("referrer-policy").as_deref(), Some("same-origin"), "{shown}");
            assert_eq!(reply.header("x-frame-options").as_deref(), Some("DENY"), "{shown}");
            let kept = reply.header("cache-control");
            assert!(shown.contains("/static/") || kept.as_deref() == Some("no-store"), "{shown}: {kept:?}");
        }
    }
}

async fn an_action_needs_permission_for_all_its_changes(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let held = hold(&world.ann, 1, &[5, 6]).send(&app).await.expect(201).json();
    let ordered = act(&world.ann, &held, "confirm").send(&app).await.expect(201).json();
    let booked = ordered["bookings"][0]["id"].to_string();
    let order = app.sql("SELECT id FROM orders").await[0][0].clone();
    let state = async || app.sql("SELECT status FROM bookings ORDER BY id").await;
    for (username, permissions, action, id, status) in [
        ("a", &["orders.view"][..], "orders/actions/cancel", &order, 403),
        ("b", &["orders.view", "orders.pay"], "orders/actions/refund", &order, 403),
        ("c", &["bookings.view"], "bookings/actions/cancel", &booked, 403),
        ("d", &["orders.view", "orders.pay"], "orders/actions/paid", &order, 303),
        ("e", &["bookings.view", "orders.cancel"], "bookings/actions/cancel", &booked, 303),
        ("f", &["orders.view", "orders.refund"], "orders/actions/refund", &order, 303),
    ] {
        let before = state().await;
        let mut clerk = app.staff(username, permissions).await;
        clerk.post(&app, format!("/admin/{action}/"), &[("ids", id)]).await.expect(status);
        assert_eq!(state().await == before, status == 403 || username == "d", "{username}");
    }
}

async fn a_page_reports_a_missing_database(engine: Engine) {
    let app = App::start_with(engine, Options { relay: true, ..Options::default() }).await;
    app.world().await;
    let mut boss = app.superuser("boss").await;
    let forms = [
        ("movies/1/change/", "_save"),
        ("movies/1/delete/", "yes"),
        ("shows/actions/cancel/", "ids"),
        ("login/", "next"),
    ];
    let calls = || {
        let pages =
            ["", "movies/", "movies/1/change/", "shows/2/delete/", "bookings/export/", "shows/names/?q=a", "log/"];
        let pages = pages.map(|path| Call::get(format!("/admin/{path}")));
        let forms = forms.map(|(path, name)| {
            let body = boss.form(&[(name, "1"), ("username", "boss"), ("password", PASSWORD), ("title", "Lost")]);
            Call::post(format!("/admin/{path}")).body(Some("application/x-www-form-urlencoded"), body)
        });
        pages.into_iter().chain(forms)
    };
    app.relay().cut();
    let sent = calls().map(|call| {
        let (mut browser, shown, base) = (boss.clone(), format!("{call:?}"), app.base());
        async move {
            let reply = browser.send(base, call).await;
            assert_eq!(reply.status, 503, "{shown}: {}", reply.text);
            assert_eq!(reply.header("content-type").as_deref(), Some("text/html; charset=utf-8"), "{shown}");
            assert!(reply.header("retry-after").is_some(), "{shown}");
            let id = reply.header("x-request-id").expect("an id");
            let (_, told) = reply.text.split_once("<main").expect("a page");
            assert!(told.contains("The database does not answer. Nothing was changed"), "{shown}: {told}");
            assert!(told.contains(&id) && !told.contains("refused") && !told.contains("mysql"), "{shown}: {told}");
            assert!(!browser.cookies.is_empty(), "{shown}: the session is kept");
        }
    });
    futures_util::future::join_all(sent).await;
    // Pages that need no database still work.
    Call::get("/admin/login/").send(&app).await.expect(200);
    Call::get("/admin/static/admin.css").send(&app).await.expect(200);
    app.relay().mend();
    let began = std::time::Instant::now();
    while boss.get(&app, "/admin/movies/1/change/").await.status != 200 {
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "it does not come back");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(app.sql("SELECT title FROM movies WHERE id = 1").await, [["The Long Take"]]);
}
