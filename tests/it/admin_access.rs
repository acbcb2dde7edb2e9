//! Who can use the admin panel, and who cannot.

use std::collections::BTreeSet;

use futures_util::join;
use marquee::admin::guard::{Needs, Route};
use marquee::admin::{Model, Permission};
use marquee::admin_site::SITE;
use marquee::router::admin_panel;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::holds::{act, hold};
use crate::support::staff::{PASSWORD, token_in};
use crate::support::{App, Browser, Call, Engine, Options, Reply, Test};

pub fn tests() -> Vec<Test> {
    vec![
        Test::plain("admin_access::few_paths_are_public", few_paths_are_public),
        Test::new(
            "admin_access::every_path_refuses_users_without_permission",
            every_path_refuses_users_without_permission,
        ),
        Test::new("admin_access::every_form_needs_its_token", every_form_needs_its_token),
        Test::new("admin_access::only_active_staff_log_in", only_active_staff_log_in),
        Test::new("admin_access::a_session_ends", a_session_ends),
        Test::new("admin_access::permissions_apply_immediately", permissions_apply_immediately),
        Test::new("admin_access::a_password_change_ends_other_sessions", a_password_change_ends_other_sessions),
        Test::new("admin_access::a_session_survives_a_restart", a_session_survives_a_restart),
        Test::on(&Engine::SHARED, "admin_access::all_instances_share_sessions", all_instances_share_sessions),
        Test::new("admin_access::guesses_are_throttled", guesses_are_throttled),
        Test::new("admin_access::the_login_leads_to_pages_of_the_panel", the_login_leads_to_pages_of_the_panel),
        Test::new("admin_access::nobody_can_raise_their_own_permissions", nobody_can_raise_their_own_permissions),
        Test::new("admin_access::one_active_superuser_always_remains", one_active_superuser_always_remains),
        Test::new("admin_access::refusals_are_pages", refusals_are_pages),
        Test::on(&Engine::SHARED, "admin_access::a_page_reports_a_missing_database", a_page_reports_a_missing_database),
        Test::new("admin_access::the_session_cookie_is_protected", the_session_cookie_is_protected),
        Test::on(&[Engine::Sqlite], "admin_access::foreign_cookies_do_no_harm", foreign_cookies_do_no_harm),
        Test::new(
            "admin_access::an_action_needs_permission_for_all_its_changes",
            an_action_needs_permission_for_all_its_changes,
        ),
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
            paths.push((route.path.replace("{file}", "admin.css"), None, None));
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
async fn state(app: &App) -> Vec<Vec<Vec<String>>> {
    let mut state = Vec::new();
    for sql in [
        "SELECT id, username, email, first_name, last_name, password, is_active, is_staff, is_superuser, version FROM users ORDER BY id",
        "SELECT * FROM movies ORDER BY id",
        "SELECT * FROM screens ORDER BY id",
        "SELECT * FROM shows ORDER BY id",
        "SELECT id, user_id, show_id, seat_number, status FROM bookings ORDER BY id",
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
    assert_eq!(for_staff, ["/admin/", "/admin/log/", "/admin/logout/", "/admin/password/"].into());
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
            if !step.is_for_anyone() {
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

    // All permissions except the required one, for each model.
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

    // Some models are only for superusers, whatever permissions a group has.
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

/// The hash of a browser's session, as stored in the database.
fn hash_of(browser: &Browser) -> String {
    use base64::Engine as _;
    let secret = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(&browser.cookies["marquee_admin"]).expect("base64");
    assert_eq!(secret.len(), 32);
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02X}")).collect()
}

async fn sessions(app: &App) -> BTreeSet<String> {
    app.sql("SELECT HEX(token_hash) FROM admin_sessions").await.into_iter().map(|mut row| row.remove(0)).collect()
}

async fn only_active_staff_log_in(engine: Engine) {
    const REFUSED: &str = "Please enter the correct username and password for a staff account.";
    let app = App::start(engine).await;
    app.world().await;
    app.superuser("boss").await;
    app.staff("gone", &[]).await;
    app.succeed(&["deactivate-user", "gone"]);
    let before = sessions(&app).await;
    for (username, password) in [
        ("boss", "Wrong-Lantern-42"),
        ("boss", ""),
        ("nobody", PASSWORD),
        ("", ""),
        // A customer, and a deactivated staff member, with the right password.
        ("ann", PASSWORD),
        ("gone", PASSWORD),
    ] {
        let mut browser = Browser::default();
        let reply = browser.try_log_in(&app, username, password).await.expect(403);
        assert!(reply.text.contains(REFUSED), "{username}: {}", reply.text);
        assert!(!reply.text.contains(password) || password.is_empty(), "the password is not repeated on the page");
        browser.get(&app, "/admin/").await.expect(302);
    }
    assert_eq!(sessions(&app).await, before);

    // Usernames ignore letter case; the panel shows the user's own spelling.
    let joined = app.sql("SELECT last_login FROM users WHERE username = 'boss'").await;
    let mut browser = Browser::default();
    browser.get(&app, "/admin/login/").await.expect(200);
    let (offered, as_visitor) = (browser.cookies.clone(), browser.csrf.clone());
    assert_eq!(sessions(&app).await, before, "a visitor's cookie is not stored");
    browser.post(&app, "/admin/login/", &[("username", " BOSS "), ("password", PASSWORD)]).await.expect(303);
    assert_ne!(app.sql("SELECT last_login FROM users WHERE username = 'boss'").await, joined);
    // The login replaces the browser's secret, so a secret that an attacker has planted is worthless.
    assert_ne!(browser.cookies, offered);
    let page = browser.get(&app, "/admin/").await.expect(200);
    assert_ne!(token_in(&page.text), Some(as_visitor));
    Browser { cookies: offered, ..Browser::default() }.get(&app, "/admin/").await.expect(302);
    // The database stores only the hash.
    assert!(sessions(&app).await.contains(&hash_of(&browser)));
    // Logging in again replaces the session: there is still one, with another secret.
    let (first, count) = (browser.clone(), sessions(&app).await.len());
    browser.post(&app, "/admin/login/", &[("username", "boss"), ("password", PASSWORD)]).await.expect(303);
    assert_ne!(browser.cookies, first.cookies);
    assert_eq!(sessions(&app).await.len(), count);
    first.clone().get(&app, "/admin/").await.expect(302);
    browser.get(&app, "/admin/").await.expect(200);
}

/// Moves a time of a browser's session by this many minutes.
async fn shift(app: &App, browser: &Browser, column: &str, minutes: i64) {
    let micros = minutes * 60_000_000;
    let hash = hash_of(browser);
    app.sql(&format!("UPDATE admin_sessions SET {column} = {column} + {micros} WHERE token_hash = X'{hash}'")).await;
}

async fn a_session_ends(engine: Engine) {
    let env = vec![("ADMIN_IDLE_MINUTES", "30".to_owned()), ("ADMIN_SESSION_HOURS", "2".to_owned())];
    let app = App::start_with(engine, Options { env, ..Options::default() }).await;
    let mut other = app.superuser("boss").await;

    // Unused for too long.
    let mut browser = app.at_the_panel("boss").await;
    shift(&app, &browser, "seen_at", -29).await;
    browser.get(&app, "/admin/").await.expect(200);
    shift(&app, &browser, "seen_at", -31).await;
    browser.get(&app, "/admin/").await.expect(302);
    assert!(!sessions(&app).await.contains(&hash_of(&browser)), "it is removed");

    // In use, but too old.
    let mut browser = app.at_the_panel("boss").await;
    shift(&app, &browser, "created_at", -119).await;
    browser.get(&app, "/admin/").await.expect(200);
    shift(&app, &browser, "created_at", -2).await;
    browser.get(&app, "/admin/").await.expect(302);
    assert!(!sessions(&app).await.contains(&hash_of(&browser)), "it is removed");

    // The time of use is stored, but not on every request.
    let mut browser = app.at_the_panel("boss").await;
    let seen = async || {
        let sql = format!("SELECT seen_at FROM admin_sessions WHERE token_hash = X'{}'", hash_of(&browser));
        app.sql(&sql).await[0][0].parse::<i64>().expect("a time")
    };
    let first = seen().await;
    browser.clone().get(&app, "/admin/").await.expect(200);
    assert_eq!(seen().await, first);
    shift(&app, &browser, "seen_at", -2).await;
    browser.clone().get(&app, "/admin/").await.expect(200);
    assert!(seen().await >= first);

    // Expired sessions are deleted when anyone logs in.
    let (idle, old) = (app.at_the_panel("boss").await, app.at_the_panel("boss").await);
    shift(&app, &idle, "seen_at", -31).await;
    shift(&app, &old, "created_at", -121).await;
    app.staff("clerk", &[]).await;
    let left = sessions(&app).await;
    assert!(!left.contains(&hash_of(&idle)) && !left.contains(&hash_of(&old)) && left.contains(&hash_of(&browser)));

    // Logging out ends only this session.
    let ended = browser.clone();
    let reply = browser.post(&app, "/admin/logout/", &[]).await.expect(303);
    assert_eq!(reply.header("location").as_deref(), Some("/admin/login/"));
    assert!(browser.cookies.is_empty());
    ended.clone().get(&app, "/admin/").await.expect(302);
    other.get(&app, "/admin/").await.expect(200);

    // A session that was deleted from the database ends immediately.
    app.sql(&format!("DELETE FROM admin_sessions WHERE token_hash = X'{}'", hash_of(&other))).await;
    other.get(&app, "/admin/").await.expect(302);

    // "Log out everywhere" ends all sessions of this user.
    let mut clerk = app.at_the_panel("clerk").await;
    let mut all = [app.at_the_panel("boss").await, app.at_the_panel("boss").await];
    all[0].get(&app, "/admin/password/").await.expect(200);
    all[0].post(&app, "/admin/logout/", &[("everywhere", "1")]).await.expect(303);
    for browser in &mut all {
        browser.get(&app, "/admin/").await.expect(302);
    }
    clerk.get(&app, "/admin/").await.expect(200);
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

    app.sql("INSERT INTO group_permissions (group_id, permission) SELECT id, 'screens.change' FROM staff_groups").await;
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

async fn a_password_change_ends_other_sessions(engine: Engine) {
    const NEW: &str = "Quiet-Harbour-71";
    let app = App::start(engine).await;
    let mut browser = app.staff("clerk", &[]).await;
    let mut other = app.at_the_panel("clerk").await;
    let mut boss = app.superuser("boss").await;
    browser.get(&app, "/admin/password/").await.expect(200);
    for (old, new, again, fault) in [
        ("Wrong-Lantern-42", NEW, NEW, "This is not your password."),
        (PASSWORD, NEW, "Quiet-Harbour-72", "The two new passwords differ."),
        (PASSWORD, "12345678", "12345678", "This password is entirely numeric."),
        (PASSWORD, "", "", "This password is too short."),
    ] {
        let fields = [("old", old), ("new", new), ("again", again)];
        let page = browser.post(&app, "/admin/password/", &fields).await.expect(200).text;
        assert!(page.contains(fault), "{fault}: {page}");
        assert!(!page.contains("Lantern") && !page.contains("Harbour"), "no password is repeated on the page: {page}");
    }
    other.get(&app, "/admin/").await.expect(200);

    let former = browser.clone();
    let fields = [("old", PASSWORD), ("new", NEW), ("again", NEW)];
    browser.post(&app, "/admin/password/", &fields).await.expect(303);
    let page = browser.get(&app, "/admin/password/?done=1").await.expect(200).text;
    assert!(page.contains("Your password has been changed"), "{page}");
    for mut ended in [former, other] {
        ended.get(&app, "/admin/").await.expect(302);
    }
    boss.get(&app, "/admin/").await.expect(200);
    Browser::default().try_log_in(&app, "clerk", PASSWORD).await.expect(403);
    Browser::default().try_log_in(&app, "clerk", NEW).await.expect(303);
    // The change is in the log, without the password.
    let log = app.sql("SELECT username, model, action, changes FROM admin_log").await;
    assert_eq!(log, [["clerk", "users", "password", "[]"]]);

    // The command line does the same.
    let output = app.marquee_with(&["changepassword", "clerk", "--noinput"], "", &[("MARQUEE_PASSWORD", PASSWORD)]);
    assert!(output.status.success());
    browser.get(&app, "/admin/").await.expect(302);
    app.at_the_panel("clerk").await;
}

async fn a_session_survives_a_restart(engine: Engine) {
    let app = App::start(engine).await;
    let mut browser = app.superuser("boss").await;
    app.instance(0).kill9();
    app.instance(0).restart().await;
    browser.get(&app, "/admin/").await.expect(200);
    // Its CSRF token too.
    browser.post(&app, "/admin/logout/", &[]).await.expect(303);
}

async fn all_instances_share_sessions(engine: Engine) {
    let app = App::start_with(engine, Options { instances: 2, ..Options::default() }).await;
    let mut browser = app.superuser("boss").await;
    let [here, there] = [0, 1].map(|number| app.instance(number).base.clone());
    browser.send(&there, Call::get("/admin/")).await.expect(200);
    let ended = browser.clone();
    let form = browser.form(&[]);
    let call = Call::post("/admin/logout/").body(Some("application/x-www-form-urlencoded"), form);
    browser.send(&there, call).await.expect(303);
    ended.clone().send(&here, Call::get("/admin/")).await.expect(302);
}

async fn guesses_are_throttled(engine: Engine) {
    let env = vec![("LOGIN_FAILURES_PER_ACCOUNT", "3".to_owned())];
    let app = App::start_with(engine, Options { env, ..Options::default() }).await;
    app.superuser("boss").await;
    // The API and the panel count together.
    let guess = serde_json::json!({"username": "boss", "password": "Wrong-Lantern-42"});
    Call::post("/api/login/").json(guess).send(&app).await.expect(401);
    for _ in 0..2 {
        Browser::default().try_log_in(&app, "boss", "Wrong-Lantern-42").await.expect(403);
    }
    for password in [PASSWORD, "Wrong-Lantern-42"] {
        let reply = Browser::default().try_log_in(&app, "boss", password).await.expect(429);
        let wait: u64 = reply.header("retry-after").expect("a wait").parse().expect("seconds");
        assert!((1..=300).contains(&wait), "{wait}");
        assert!(reply.text.contains("Too many failed attempts."), "{}", reply.text);
    }
    let right = serde_json::json!({"username": "boss", "password": PASSWORD});
    Call::post("/api/login/").json(right).send(&app).await.expect(429);
}

async fn the_login_leads_to_pages_of_the_panel(engine: Engine) {
    let app = App::start(engine).await;
    app.superuser("boss").await;
    for (next, wanted) in [
        ("/admin/movies/?q=a+b&p=2", "/admin/movies/?q=a+b&p=2"),
        ("", "/admin/"),
        ("//evil.example/", "/admin/"),
        ("/\\evil.example", "/admin/"),
        ("https://evil.example/admin/", "/admin/"),
        ("/admin/\r\nSet-Cookie: a=b", "/admin/"),
        ("/admin/../api/movies/", "/admin/"),
        ("/api/movies/", "/admin/"),
    ] {
        let mut browser = Browser::default();
        let asked = format!(
            "/admin/login/?{}",
            form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish()
        );
        let page = browser.get(&app, &asked).await.expect(200).text;
        let escaped = wanted.replace('&', "&#38;");
        assert!(page.contains(&format!("name=\"next\" value=\"{escaped}\"")), "{next}: {page}");
        let fields = [("username", "boss"), ("password", PASSWORD), ("next", next)];
        let reply = browser.post(&app, "/admin/login/", &fields).await.expect(303);
        assert_eq!(reply.header("location").as_deref(), Some(wanted), "{next}");
        // A user who is logged in already is redirected.
        let reply = browser.get(&app, &asked).await.expect(302);
        assert_eq!(reply.header("location").as_deref(), Some(wanted), "{next}");
    }
    // The link to the login keeps the query.
    let reply = Browser::default().get(&app, "/admin/movies/?q=50%25&p=2").await.expect(302);
    assert_eq!(reply.header("location").as_deref(), Some("/admin/login/?next=/admin/movies/%3Fq%3D50%2525%26p%3D2"));
}

/// An account's form fields, as a browser sends them.
async fn account_form(app: &App, id: &str, changes: &[(&'static str, &'static str)]) -> Vec<(&'static str, String)> {
    let columns = ["username", "email", "first_name", "last_name", "is_active", "is_staff", "is_superuser", "version"];
    let sql = format!("SELECT {} FROM users WHERE id = {id}", columns.join(", "));
    let row = app.sql(&sql).await.remove(0);
    let mut fields: Vec<(&str, String)> = columns.into_iter().zip(row).collect();
    let groups = app.sql(&format!("SELECT group_id FROM group_members WHERE user_id = {id}")).await;
    fields.extend(groups.into_iter().map(|mut group| ("groups", group.remove(0))));
    for (name, value) in changes {
        fields.retain(|(field, _)| field != name);
        fields.push((name, (*value).to_owned()));
    }
    // A browser does not send an unticked box.
    fields.retain(|(name, value)| !(value.is_empty() || name.starts_with("is_") && value == "0"));
    fields.into_iter().map(|(name, value)| (if name == "version" { "_version" } else { name }, value)).collect()
}

async fn post_account(app: &App, browser: &Browser, id: &str, changes: &[(&'static str, &'static str)]) -> Reply {
    let fields = account_form(app, id, changes).await;
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.clone().post(app, format!("/admin/users/{id}/change/"), &fields).await
}

async fn nobody_can_raise_their_own_permissions(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let boss = app.superuser("boss").await;
    let all: Vec<String> = ["users", "groups"]
        .iter()
        .flat_map(|model| Permission::ALL.map(|permission| format!("{model}.{}", permission.name())))
        .collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let clerk = app.staff("clerk", &all).await;
    let id_of = async |name: &str| {
        app.sql(&format!("SELECT id FROM users WHERE username = '{name}'")).await.remove(0).remove(0)
    };
    let (boss_id, clerk_id, ann, bob) =
        (id_of("boss").await, id_of("clerk").await, world.ann.id.to_string(), world.bob.id.to_string());
    let before = state(&app).await;
    for (browser, id, changes) in [
        (&clerk, &clerk_id, &[("is_superuser", "1")][..]),
        (&clerk, &clerk_id, &[("first_name", "X")]),
        (&clerk, &clerk_id, &[("groups", "")]),
        (&clerk, &boss_id, &[("email", "clerk@example.com")]),
        (&clerk, &boss_id, &[("is_active", "0")]),
        (&clerk, &ann, &[("is_staff", "1")]),
        (&clerk, &ann, &[("is_superuser", "1")]),
        (&clerk, &ann, &[("groups", "1")]),
        (&boss, &boss_id, &[("is_active", "0")]),
        (&boss, &boss_id, &[("is_staff", "0")]),
        (&boss, &boss_id, &[("is_superuser", "0")]),
        (&boss, &ann, &[("username", "BOB")]),
        (&boss, &ann, &[("email", "nowhere")]),
    ] {
        let reply = post_account(&app, browser, id, changes).await;
        assert_ne!(reply.status, 303, "{changes:?} of {id}");
        assert_eq!(state(&app).await, before, "{changes:?} of {id}");
    }
    let passwords = [("password", PASSWORD), ("password_again", PASSWORD)];
    let new = [&[("username", "eve"), ("email", "eve@example.com"), ("is_active", "1")], &passwords[..]].concat();
    for given in ["is_staff", "is_superuser", "groups"] {
        let fields = [&new[..], &[(given, "1")]].concat();
        assert_ne!(clerk.clone().post(&app, "/admin/users/add/", &fields).await.status, 303, "{given}");
    }
    for (path, fields) in [
        ("/admin/groups/add/", &[("name", "Everything"), ("permissions", "users.change")][..]),
        ("/admin/groups/1/change/", &[("name", "clerk"), ("permissions", "movies.delete"), ("_version", "1")]),
        ("/admin/groups/1/delete/", &[]),
    ] {
        clerk.clone().post(&app, path, fields).await.expect(403);
    }
    // Actions report what they did not do.
    for (browser, id, action) in [
        (&clerk, &boss_id, "off"),
        (&clerk, &clerk_id, "off"),
        (&boss, &boss_id, "off"),
        (&clerk, &boss_id, "password"),
    ] {
        let fields = [&[("ids", id.as_str())], &passwords[..]].concat();
        let page = browser.clone().post(&app, format!("/admin/users/actions/{action}/"), &fields).await.text;
        let why = if browser.csrf == boss.csrf { "yourself" } else { "Only a superuser" };
        assert!(page.contains(why), "{action} of {id}: {page}");
    }
    let page = boss.clone().post(&app, format!("/admin/users/{ann}/delete/"), &[]).await.expect(409).text;
    assert!(page.contains("Users are never deleted"), "{page}");
    boss.clone().post(&app, "/admin/users/actions/delete/", &[("ids", &ann)]).await.expect(404);
    assert_eq!(state(&app).await, before);

    // Staff may change a customer's names, address and activity. A deactivated customer is refused immediately.
    Call::get("/api/my-bookings/").bearer(&world.bob.access).send(&app).await.expect(200);
    let changes = [("first_name", "Bob"), ("email", "bob@new.example"), ("is_active", "0")];
    post_account(&app, &clerk, &bob, &changes).await.expect(303);
    Call::get("/api/my-bookings/").bearer(&world.bob.access).send(&app).await.expect(401);
    let found = app.sql(&format!("SELECT first_name, email, is_active FROM users WHERE id = {bob}")).await;
    assert_eq!(found, [["Bob", "bob@new.example", "0"]]);
    clerk.clone().post(&app, "/admin/users/add/", &new).await.expect(303);
    Call::post("/api/login/")
        .json(serde_json::json!({"username": "eve", "password": PASSWORD}))
        .send(&app)
        .await
        .expect(200);

    let other = "Quiet-Harbour-71";
    for (new, again, fault) in
        [(other, PASSWORD, "The two entries do not match."), ("1234567", "1234567", "This password is too short.")]
    {
        let fields = [("ids", ann.as_str()), ("password", new), ("password_again", again)];
        let page = clerk.clone().post(&app, "/admin/users/actions/password/", &fields).await.expect(422).text;
        assert!(page.contains(fault), "{page}");
    }
    let fields = [("ids", ann.as_str()), ("password", other), ("password_again", other)];
    clerk.clone().post(&app, "/admin/users/actions/password/", &fields).await.expect(200);
    for (password, status) in [(PASSWORD, 401), (other, 200)] {
        let login = serde_json::json!({"username": "ann", "password": password});
        Call::post("/api/login/").json(login).send(&app).await.expect(status);
    }
    let fields = [&[("ids", ann.as_str())], &passwords[..]].concat();
    clerk.clone().post(&app, "/admin/users/actions/password/", &fields).await.expect(200);

    // Superusers may change anything of others.
    post_account(&app, &boss, &clerk_id, &[("is_staff", "0"), ("groups", "")]).await.expect(303);
    clerk.clone().get(&app, "/admin/").await.expect(302);
    assert!(!sessions(&app).await.contains(&hash_of(&clerk)));
    post_account(&app, &boss, &ann, &[("is_staff", "1"), ("groups", "1")]).await.expect(303);
    app.at_the_panel("ann").await.get(&app, "/admin/users/").await.expect(200);
    // The history shows the changes.
    let page = boss.clone().get(&app, format!("/admin/users/{ann}/history/")).await.expect(200).text;
    assert!(page.contains("boss") && page.contains("Staff"), "{page}");
}

/// Two superusers deactivate each other at the same time: one of them remains.
async fn one_active_superuser_always_remains(engine: Engine) {
    let app = App::start(engine).await;
    for round in 0..5 {
        app.sql("UPDATE users SET is_active = 0").await;
        let (a, b) = (format!("a{round}"), format!("b{round}"));
        let browsers = [app.superuser(&a).await, app.superuser(&b).await];
        let ids = app.sql("SELECT id FROM users WHERE is_active = 1 ORDER BY id DESC LIMIT 2").await;
        let off = [("is_active", "0")];
        join!(post_account(&app, &browsers[0], &ids[0][0], &off), post_account(&app, &browsers[1], &ids[1][0], &off));
        let left = app.sql("SELECT id FROM users WHERE is_active = 1 AND is_superuser = 1 AND is_staff = 1").await;
        assert_eq!(left.len(), 1, "{left:?}");
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

/// Any program on the same host, on any port, can set cookies that the browser sends too.
async fn foreign_cookies_do_no_harm(engine: Engine) {
    let app = App::start(engine).await;
    let boss = app.superuser("boss").await;
    let ours = boss.cookie();
    for line in [
        &[&b"theme=caf\xc3\xa9; "[..], ours.as_bytes()].concat(),
        &[&b"theme=\xff; "[..], ours.as_bytes()].concat(),
        &[&b"marquee_admin=; "[..], ours.as_bytes()].concat(),
        &[&b"marquee_admin=\xe9; marquee_admin=x; marquee_admin; marquee_admin_2=a; "[..], ours.as_bytes()].concat(),
        &[&b"marquee_notes=; marquee_notes=n=%ff; "[..], ours.as_bytes()].concat(),
    ] {
        let status = with_cookie(&app, "GET /admin/", line, "").await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(line));
        // A form from this browser is still accepted.
        let form = boss.form(&[("name", &format!("Screen {}", line.len()))]);
        let status = with_cookie(&app, "POST /admin/screens/add/", line, &form).await;
        assert!([303, 422].contains(&status), "{status}: {}", String::from_utf8_lossy(line));
    }
}

/// Returns the reply's status for a request whose Cookie header may contain any bytes.
async fn with_cookie(app: &App, request: &str, cookie: &[u8], form: &str) -> u16 {
    let host = app.base().trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await.expect("the server accepts");
    let kind = "application/x-www-form-urlencoded";
    let head = format!("{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: {kind}\r\n");
    let rest = format!("\r\nContent-Length: {}\r\n\r\n{form}", form.len());
    let sent = [head.as_bytes(), b"Cookie: ", cookie, rest.as_bytes()].concat();
    stream.write_all(&sent).await.expect("it is sent");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.expect("a reply");
    let reply = String::from_utf8_lossy(&reply);
    reply.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{reply}"))
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
        ("a", &["orders.change"][..], "orders/actions/cancel", &order, 403),
        ("b", &["orders.change"], "orders/actions/refund", &order, 403),
        ("c", &["bookings.change"], "bookings/actions/cancel", &booked, 403),
        ("d", &["orders.change"], "orders/actions/paid", &order, 200),
        ("e", &["orders.change", "bookings.change"], "bookings/actions/cancel", &booked, 200),
        ("f", &["orders.change", "bookings.change"], "orders/actions/refund", &order, 200),
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

async fn the_session_cookie_is_protected(engine: Engine) {
    for (proxies, sent, is_secure) in [
        ("0", "https", false),
        ("1", "https", true),
        ("1", "http", false),
        ("1", "https, http", false),
        ("2", "https", true),
    ] {
        let env = vec![("TRUSTED_PROXIES", proxies.to_owned())];
        let app = App::start_with(engine, Options { env, ..Options::default() }).await;
        let reply = Call::get("/admin/login/").header("X-Forwarded-Proto", sent).send(&app).await.expect(200);
        let cookie = reply.header("set-cookie").expect("a cookie");
        let (value, attributes) = cookie.split_once("; ").expect("attributes");
        assert_eq!(value.len(), "marquee_admin=".len() + 43);
        let secure = if is_secure { "; Secure" } else { "" };
        assert_eq!(attributes, format!("HttpOnly; SameSite=Lax{secure}; Path=/admin"), "{proxies} {sent}");
    }
    // Each visitor has another secret.
    let app = App::start(engine).await;
    let cookies: BTreeSet<_> = {
        let mut cookies = BTreeSet::new();
        for _ in 0..3 {
            cookies.insert(Call::get("/admin/login/").send(&app).await.expect(200).header("set-cookie"));
        }
        cookies
    };
    assert_eq!(cookies.len(), 3);
}
