//! Nothing typed is lost: sessions that end while a form is open, two tabs, double clicks, proxies that change the Host.

use std::collections::BTreeSet;

use super::forms::attribute;
use crate::support::staff::{PASSWORD, token_in};
use crate::support::{App, Browser, Call, Engine, Reply};

tests! {
    admin_kept: [
        a_form_outlives_its_session,
        only_own_forms_are_kept,
        a_form_from_before_the_last_login_can_be_sent_again,
        two_tabs_with_the_login_form_work,
        a_form_that_is_sent_twice_is_saved_once,
        a_proxy_that_drops_the_port_is_named,
    ]
}

const FORM: Option<&str> = Some("application/x-www-form-urlencoded");

/// Returns the fields of a page's form in `main`.
fn fields(page: &str) -> Vec<(String, String)> {
    let main = page.split_once("<main").expect("a page").1;
    let inputs = main.split("<input ").skip(1);
    inputs
        .filter_map(|input| Some((attribute(input, "name")?, attribute(input, "value").unwrap_or_default())))
        .collect()
}

fn body(fields: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Sends the form of a page with these entries.
async fn send(app: &App, browser: &mut Browser, path: &str, page: &str, entries: &[(&str, &str)]) -> Reply {
    let mut sent = fields(page);
    for (name, value) in entries {
        sent.retain(|(known, _)| known != name);
        sent.push(((*name).to_owned(), (*value).to_owned()));
    }
    browser.send(app.base(), Call::post(path).body(FORM, body(&sent))).await
}

async fn titles(app: &App) -> Vec<String> {
    app.sql("SELECT title FROM movies ORDER BY id").await.concat()
}

async fn a_form_outlives_its_session(engine: Engine) {
    let app = App::start(engine).await;
    let mut root = app.superuser("root").await;
    let page = root.get(&app, "/admin/movies/add/?back=q%3Da").await.expect(200).text;
    app.sql("DELETE FROM admin_sessions").await;
    let entries = [("title", "A \"long\" <b>evening"), ("duration_minutes", "100"), ("_save", "1")];
    let asked = send(&app, &mut root, "/admin/movies/add/", &page, &entries).await.expect(403);
    assert!(
        asked.text.contains("Nothing was saved yet.") && asked.text.contains("name=\"password\""),
        "{}",
        asked.text
    );
    // A wrong password keeps the form, too.
    let login = [("username", "root"), ("password", "Wrong-Lantern-42")];
    let again = send(&app, &mut root, "/admin/login/", &asked.text, &login).await.expect(403);
    let login = [("username", "root"), ("password", PASSWORD)];
    let goes_on = send(&app, &mut root, "/admin/login/", &again.text, &login).await.expect(200);
    assert!(goes_on.text.contains("action=\"/admin/movies/add/\"") && goes_on.text.contains("data-goes-on"));
    assert!(!goes_on.text.contains("Lantern"), "{}", goes_on.text);
    assert!(titles(&app).await.is_empty());
    let saved = send(&app, &mut root, "/admin/movies/add/", &goes_on.text, &[]).await;
    assert_eq!(saved.header("location").as_deref(), Some("/admin/movies/?q=a"), "{}", saved.text);
    assert_eq!(titles(&app).await, ["A \"long\" <b>evening"]);
    // A password in the form is not kept, and the form asks for it again.
    let page = root.get(&app, "/admin/users/add/").await.expect(200).text;
    app.sql("DELETE FROM admin_sessions").await;
    let account = [
        ("username", "eve"),
        ("email", "eve@example.com"),
        ("password", "Quiet-Harbour-71"),
        ("password_again", "Quiet-Harbour-71"),
    ];
    let asked = send(&app, &mut root, "/admin/users/add/", &page, &account).await.expect(403);
    assert!(asked.text.contains("eve@example.com") && !asked.text.contains("Harbour"), "{}", asked.text);
    let goes_on = send(&app, &mut root, "/admin/login/", &asked.text, &login).await.expect(200);
    let shown = send(&app, &mut root, "/admin/users/add/", &goes_on.text, &[]).await.expect(422);
    assert!(shown.text.contains("value=\"eve\"") && shown.text.contains("Password: This field is required."));
}

async fn only_own_forms_are_kept(engine: Engine) {
    let app = App::start(engine).await;
    let root = app.superuser("root").await;
    app.sql("DELETE FROM admin_sessions").await;
    let form = |csrf: &str| body(&[("csrf".into(), csrf.to_owned()), ("title".into(), "Forged".into())]);
    let post = |csrf: &str| Call::post("/admin/movies/add/").body(FORM, form(csrf));
    for (call, status) in [
        (post("wrong"), 303),
        (post(""), 303),
        (post(&root.csrf).header("Origin", "http://evil.example"), 403),
        (post(&root.csrf).header("Sec-Fetch-Site", "cross-site"), 403),
    ] {
        let shown = format!("{call:?}");
        let reply = root.clone().send(app.base(), call).await.expect(status);
        assert!(!reply.text.contains("Forged"), "{shown}: {}", reply.text);
    }
    // A form that is too large is not lost either, if the browser still has it.
    let large = body(&[("csrf".into(), root.csrf.clone()), ("title".into(), "x".repeat(15_000))]);
    let reply = root.clone().send(app.base(), Call::post("/admin/movies/add/").body(FORM, large)).await.expect(403);
    assert!(reply.text.contains("log in in another tab"), "{}", reply.text);
    // A login form that names another place leads nowhere else.
    let mut browser = Browser::default();
    let page = browser.get(&app, "/admin/login/").await.expect(200).text;
    let entries =
        [("username", "root"), ("password", PASSWORD), ("kept_to", "https://evil.example/"), ("kept.title", "Forged")];
    let reply = send(&app, &mut browser, "/admin/login/", &page, &entries).await.expect(303);
    assert_eq!(reply.header("location").as_deref(), Some("/admin/"));
}

async fn a_form_from_before_the_last_login_can_be_sent_again(engine: Engine) {
    let app = App::start(engine).await;
    let mut root = app.superuser("root").await;
    let page = root.get(&app, "/admin/movies/add/").await.expect(200).text;
    // Another tab of the same browser logs in again.
    root.get(&app, "/admin/password/").await.expect(200);
    root.post(&app, "/admin/login/", &[("username", "root"), ("password", PASSWORD)]).await.expect(303);
    let old =
        fields(&page).into_iter().chain([("title".into(), "Dusk".into()), ("duration_minutes".into(), "90".into())]);
    let old = body(&old.collect::<Vec<_>>());
    let post = |old: &str| Call::post("/admin/movies/add/").body(FORM, old.to_owned());
    // If nothing proves that a page of the panel sent it, it is refused.
    let refused = root.clone().send(app.base(), post(&old)).await.expect(403);
    assert!(!refused.text.contains("Dusk"), "{}", refused.text);
    let asked = root.send(app.base(), post(&old).header("Sec-Fetch-Site", "same-origin")).await.expect(403);
    assert!(asked.text.contains("Nothing was changed") && asked.text.contains("<bdi>Dusk</bdi>"), "{}", asked.text);
    assert!(!asked.text.contains("data-goes-on"), "the user decides");
    assert!(titles(&app).await.is_empty());
    // The menu of the page has a form of its own.
    let main = asked.text.split_once("<main").expect("a page").1;
    assert!(token_in(main).is_some());
    send(&app, &mut root, "/admin/movies/add/", &asked.text, &[]).await.expect(303);
    assert_eq!(titles(&app).await, ["Dusk"]);
}

async fn two_tabs_with_the_login_form_work(engine: Engine) {
    let app = App::start(engine).await;
    app.superuser("root").await;
    let mut browser = Browser::default();
    let first = browser.get(&app, "/admin/login/?next=/admin/movies/").await.expect(200).text;
    let second = browser.get(&app, "/admin/login/?next=/admin/screens/").await.expect(200).text;
    let login = [("username", "root"), ("password", PASSWORD)];
    let reply = send(&app, &mut browser, "/admin/login/", &first, &login).await.expect(303);
    assert_eq!(reply.header("location").as_deref(), Some("/admin/movies/"));
    // The second tab has the old token; the browser is logged in already.
    let sent = fields(&second).into_iter().chain(login.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let call = Call::post("/admin/login/").body(FORM, body(&sent.collect::<Vec<_>>()));
    let same_origin = call.clone().header("Sec-Fetch-Site", "same-origin");
    let reply = browser.send(app.base(), same_origin.clone()).await.expect(303);
    assert_eq!(reply.header("location").as_deref(), Some("/admin/screens/"));
    browser.get(&app, "/admin/screens/").await.expect(200);
    browser.clone().send(app.base(), call).await.expect(403);
    // If the session is gone, the login form is shown again, with a token that works.
    app.sql("DELETE FROM admin_sessions").await;
    let again = browser.send(app.base(), same_origin).await.expect(403);
    assert!(again.text.contains("enter your password again"), "{}", again.text);
    send(&app, &mut browser, "/admin/login/", &again.text, &login).await.expect(303);
}

async fn a_form_that_is_sent_twice_is_saved_once(engine: Engine) {
    let app = App::start(engine).await;
    let mut root = app.superuser("root").await;
    let page = root.get(&app, "/admin/movies/add/").await.expect(200).text;
    let entries = [("title", "Dusk"), ("duration_minutes", "90"), ("_save", "1")];
    let (mut one, mut two) = (root.clone(), root.clone());
    let (one, two) = tokio::join!(
        send(&app, &mut one, "/admin/movies/add/", &page, &entries),
        send(&app, &mut two, "/admin/movies/add/", &page, &entries),
    );
    assert_eq!([one.status, two.status], [303, 303], "{} {}", one.text, two.text);
    assert_eq!(titles(&app).await, ["Dusk"]);
    send(&app, &mut root, "/admin/movies/add/", &page, &entries).await.expect(303);
    let list = root.get(&app, "/admin/movies/").await.expect(200).text;
    assert!(list.contains("The form was sent twice; it was saved once."), "{list}");
    let id = app.sql("SELECT id FROM movies").await[0][0].clone();
    assert!(list.contains(&format!("<a href=\"/admin/movies/{id}/change/\">Open the movie</a>")), "{list}");
    assert_eq!(titles(&app).await, ["Dusk"]);
    // With other entries it is another form, and so is a new page.
    send(&app, &mut root, "/admin/movies/add/", &page, &[("title", "Dawn"), entries[1]]).await.expect(303);
    let page = root.get(&app, "/admin/movies/add/").await.expect(200).text;
    send(&app, &mut root, "/admin/movies/add/", &page, &entries).await.expect(303);
    assert_eq!(titles(&app).await, ["Dusk", "Dawn", "Dusk"]);
    // A refused form can be sent again, and a change that was sent twice is no conflict.
    let path = format!("/admin/movies/{id}/change/");
    let page = root.get(&app, &*path).await.expect(200).text;
    send(&app, &mut root, &path, &page, &[("duration_minutes", "x")]).await.expect(422);
    for _ in 0..2 {
        send(&app, &mut root, &path, &page, &[("duration_minutes", "95")]).await.expect(303);
    }
    assert_eq!(app.sql(&format!("SELECT version FROM movies WHERE id = {id}")).await, [["2"]]);
    let forms: BTreeSet<String> = app.sql("SELECT HEX(form_hash) FROM used_forms").await.concat().into_iter().collect();
    assert_eq!(forms.len(), 4);
}

async fn a_proxy_that_drops_the_port_is_named(engine: Engine) {
    let app = App::start(engine).await;
    let mut root = app.superuser("root").await;
    let call = |origin: &str| {
        let form = Call::post("/admin/login/").body(FORM, root.form(&[("username", "root"), ("password", PASSWORD)]));
        form.header("Host", "localhost").header("Origin", origin)
    };
    let (dropped, other) = (call("http://localhost:8744"), call("http://evil.example:8744"));
    let reply = root.send(app.base(), dropped).await.expect(403);
    for part in ["Nothing was changed", "localhost:8744", "without the port", "proxy_set_header Host $http_host;"] {
        assert!(reply.text.replace("&#34;", "\"").contains(part), "{part}: {}", reply.text);
    }
    let reply = root.send(app.base(), other).await.expect(403);
    assert!(!reply.text.contains("without the port"), "{}", reply.text);
}
