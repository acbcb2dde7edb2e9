//! Accounts and permissions in the panel: who may change whom.

use futures_util::join;
use marquee::admin::Permission;

use super::access::state;
use super::sessions::{hash_of, sessions};
use crate::support::staff::PASSWORD;
use crate::support::{App, Browser, Call, Engine, Reply, User, World};

tests! {
    admin_access: [
        groups_without_the_panel_are_warned_of,
        nobody_can_raise_their_own_permissions,
        nobody_can_give_permissions_that_they_lack,
        actions_spare_oneself_and_superusers,
        staff_can_change_customers,
        superusers_can_change_others,
        one_active_superuser_always_remains,
    ]
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

/// A superuser, a clerk with all permissions for users and groups, and two customers.
struct Accounts {
    app: App,
    boss: Browser,
    clerk: Browser,
    boss_id: String,
    clerk_id: String,
    ann: User,
    bob: User,
}

impl Accounts {
    async fn start(engine: Engine) -> Accounts {
        let app = App::start(engine).await;
        let World { ann, bob, .. } = app.world().await;
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
        let (boss_id, clerk_id) = (id_of("boss").await, id_of("clerk").await);
        Accounts { app, boss, clerk, boss_id, clerk_id, ann, bob }
    }
}

const PASSWORDS: [(&str, &str); 2] = [("password", PASSWORD), ("password_again", PASSWORD)];

/// A form with a new account.
fn new_account() -> Vec<(&'static str, &'static str)> {
    [&[("username", "eve"), ("email", "eve@example.com"), ("is_active", "1")], &PASSWORDS[..]].concat()
}

async fn nobody_can_raise_their_own_permissions(engine: Engine) {
    let Accounts { app, boss, clerk, boss_id, clerk_id, ann, .. } = Accounts::start(engine).await;
    let ann = ann.id.to_string();
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
}

async fn nobody_can_give_permissions_that_they_lack(engine: Engine) {
    let Accounts { app, clerk, .. } = Accounts::start(engine).await;
    let before = state(&app).await;
    let new = new_account();
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
    assert_eq!(state(&app).await, before);
}

/// Actions report the accounts that they did not change.
async fn actions_spare_oneself_and_superusers(engine: Engine) {
    let Accounts { app, boss, clerk, boss_id, clerk_id, ann, .. } = Accounts::start(engine).await;
    let ann = ann.id.to_string();
    let before = state(&app).await;
    for (browser, id, action) in [
        (&clerk, &boss_id, "off"),
        (&clerk, &clerk_id, "off"),
        (&boss, &boss_id, "off"),
        (&clerk, &boss_id, "password"),
    ] {
        let fields = [&[("ids", id.as_str())], &PASSWORDS[..]].concat();
        let mut browser = browser.clone();
        let reply = browser.post(&app, format!("/admin/users/actions/{action}/"), &fields).await;
        let page = match reply.status {
            303 => browser.get(&app, "/admin/users/").await.expect(200).text,
            _ => reply.text,
        };
        let why = if browser.csrf == boss.csrf { "yourself" } else { "Only a superuser" };
        assert!(page.contains(why), "{action} of {id}: {page}");
    }
    let page = boss.clone().post(&app, format!("/admin/users/{ann}/delete/"), &[]).await.expect(409).text;
    assert!(page.contains("Users are never deleted"), "{page}");
    boss.clone().post(&app, "/admin/users/actions/delete/", &[("ids", &ann)]).await.expect(404);
    assert_eq!(state(&app).await, before);
}

async fn staff_can_change_customers(engine: Engine) {
    let Accounts { app, clerk, ann, bob, .. } = Accounts::start(engine).await;
    let (ann, bob_id) = (ann.id.to_string(), bob.id.to_string());
    // A deactivated customer is refused immediately.
    Call::get("/api/my-bookings/").bearer(&bob.access).send(&app).await.expect(200);
    let changes = [("first_name", "Bob"), ("email", "bob@new.example"), ("is_active", "0")];
    post_account(&app, &clerk, &bob_id, &changes).await.expect(303);
    Call::get("/api/my-bookings/").bearer(&bob.access).send(&app).await.expect(401);
    let found = app.sql(&format!("SELECT first_name, email, is_active FROM users WHERE id = {bob_id}")).await;
    assert_eq!(found, [["Bob", "bob@new.example", "0"]]);
    clerk.clone().post(&app, "/admin/users/add/", &new_account()).await.expect(303);
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
    clerk.clone().post(&app, "/admin/users/actions/password/", &fields).await.expect(303);
    for (password, status) in [(PASSWORD, 401), (other, 200)] {
        let login = serde_json::json!({"username": "ann", "password": password});
        Call::post("/api/login/").json(login).send(&app).await.expect(status);
    }
    let fields = [&[("ids", ann.as_str())], &PASSWORDS[..]].concat();
    clerk.clone().post(&app, "/admin/users/actions/password/", &fields).await.expect(303);
}

async fn superusers_can_change_others(engine: Engine) {
    let Accounts { app, boss, clerk, clerk_id, ann, .. } = Accounts::start(engine).await;
    let ann = ann.id.to_string();
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

/// A new clerk who only gets a group could not log in.
async fn groups_without_the_panel_are_warned_of(engine: Engine) {
    let app = App::start(engine).await;
    let mut root = app.superuser("root").await;
    let counter = app.sql("SELECT id FROM staff_groups WHERE name = 'Counter'").await.concat().concat();
    let password = "Quiet-Harbour-71";
    let fields = [
        ("username", "eve"),
        ("email", "eve@example.com"),
        ("password", password),
        ("password_again", password),
        ("is_active", "1"),
        ("groups", &*counter),
    ];
    let warned = root.post(&app, "/admin/users/add/", &fields).await.expect(409);
    assert!(warned.text.contains("can&#39;t log in to this panel"), "{}", warned.text);
    let staff = [&fields[..], &[("is_staff", "1")]].concat();
    root.post(&app, "/admin/users/add/", &staff).await.expect(303);
    assert_eq!(app.sql("SELECT is_staff FROM users WHERE username = 'eve'").await, [["1"]]);
}
