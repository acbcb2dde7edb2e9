//! Forms of the admin panel, with a model that only this test defines, and with those of the cinema.

use axum::Router;
use marquee::admin::{Filter, FilterBy, Kind, Model, Site};
use marquee::admin_site::{PAGES, SITE};
use marquee::config::Config;
use marquee::db::Db;
use marquee::server;
use marquee::state;
use marquee::web::layers;
use marquee::{admin::guard, router::admin_panel};
use secrecy::SecretString;
use tokio::net::TcpListener;

use super::planets::PLANETS;
use crate::support::{App, Browser, Call, Engine, Reply, booking};

tests! {
    admin_forms: [
        a_new_model_needs_only_its_description,
        permissions_apply_to_a_new_model,
        stored_rows_are_closed,
        outdated_forms_are_refused,
        rules_that_someone_else_set_are_kept,
        concurrent_saves_conflict,
        local_times_on_clock_change_days,
        rows_are_saved_with_their_object,
        objects_that_others_depend_on_stay,
        stored_markup_is_escaped_everywhere,
        slow_queries_are_stopped,
        the_example_in_the_documents_compiles once,
    ]
}

static SKY: Site =
    Site { groups: &[("Sky", &[&PLANETS, &STARS])], pages: &[], board: |_, _| Box::pin(async { Ok(String::new()) }) };

/// The same table, read with a query that takes a minute.
static STARS: Model = Model {
    name: "stars",
    one: "star",
    many: "stars",
    table: "planets",
    filters: &[Filter {
        name: "far",
        label: "Far",
        by: FilterBy::Conditions(&[(
            "1",
            "Yes",
            "(WITH n AS (SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 \
             UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9) \
             SELECT COUNT(*) FROM n a, n b, n c, n e, n f, n g, n h, n i, n j \
             WHERE a.d + b.d + c.d + e.d + f.d + g.d + h.d + i.d + j.d <> t.moons) = 7",
        )]),
    }],
    ..Model::PLAIN
};

/// Serves the panel with only one model, on the app's database; returns the base URL.
async fn sky(app: &App) -> String {
    let id = match app.engine {
        Engine::Sqlite => "INTEGER PRIMARY KEY AUTOINCREMENT",
        _ => "BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY",
    };
    app.sql(&format!(
        "CREATE TABLE planets (id {id}, name VARCHAR(50) NOT NULL UNIQUE, kind VARCHAR(10) NOT NULL,
         moons BIGINT NOT NULL, rises BIGINT, version BIGINT NOT NULL DEFAULT 1)"
    ))
    .await;
    let setting = |name: &str| match name {
        "DATABASE_URL" => Some(app.database_url().to_owned()),
        "TIME_ZONE" => Some("Europe/Berlin".to_owned()),
        _ => None,
    };
    let config = Config::load(setting, "").expect("valid settings");
    let limits = server::Limits::of(&config);
    let db = Db::open(&config.database, 8).expect("the database is there");
    let inner = state::App::new(config, db, &SecretString::from(app.secret_key.clone()));
    let routes = admin_panel().into_iter();
    let router =
        routes.fold(Router::new(), |router, (route, handler)| guard::mount(router, &inner, &SKY, route, handler));
    let router = layers::around(router.with_state(inner.clone()), &inner, &[PAGES]);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let base = format!("http://{}", listener.local_addr().expect("it listens"));
    let grace = std::time::Duration::ZERO;
    tokio::spawn(server::serve(listener, router, limits, grace, std::future::pending()));
    base
}

/// The fields that a browser would send for a page's form, after these values were entered.
pub fn filled(page: &str, entered: &[(&str, &str)]) -> Vec<(String, String)> {
    let form = page.split_once("<form class=\"object\"").unwrap_or_else(|| panic!("no form: {page}")).1;
    let form = form.split_once("</form>").expect("the form ends").0;
    let mut parts = form.split("<template");
    let mut form = parts.next().unwrap_or_default().to_owned();
    parts.for_each(|part| form += part.split_once("</template>").expect("the template ends").1);
    let mut fields = Vec::new();
    for element in form.split('<').skip(1) {
        let (tag, rest) = element.split_once([' ', '>']).unwrap_or((element, ""));
        let value = || attribute(rest, "value").unwrap_or_default();
        match (tag, attribute(rest, "name")) {
            ("input", Some(name))
                if attribute(rest, "type").as_deref() != Some("checkbox") || rest.contains(" checked") =>
            {
                fields.push((name, value()));
            }
            ("select", Some(name)) => fields.push((name, String::new())),
            ("option", _) if rest.contains(" selected") => fields.last_mut().expect("in a select").1 = value(),
            _ => {}
        }
    }
    for (name, value) in entered {
        match fields.iter_mut().find(|(known, _)| known == name) {
            Some(field) => field.1 = (*value).to_owned(),
            None => fields.push(((*name).to_owned(), (*value).to_owned())),
        }
    }
    fields
}

pub fn attribute(element: &str, name: &str) -> Option<String> {
    let (_, rest) = element.split('>').next()?.split_once(&format!("{name}=\""))?;
    Some(unescaped(rest.split('"').next()?))
}

fn unescaped(text: &str) -> String {
    let text = text.replace("&#34;", "\"").replace("&#39;", "'").replace("&#60;", "<").replace("&#62;", ">");
    text.replace("&#38;", "&")
}

/// Opens a form, enters these values and sends it.
async fn fill(browser: &mut Browser, base: &str, path: &str, entered: &[(&str, &str)]) -> Reply {
    let page = browser.send(base, Call::get(path)).await.expect(200);
    send(browser, base, path, &filled(&page.text, entered)).await
}

async fn send(browser: &mut Browser, base: &str, path: &str, fields: &[(String, String)]) -> Reply {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let path = path.split('?').next().unwrap_or_default();
    browser.send(base, Call::post(path).body(Some("application/x-www-form-urlencoded"), body)).await
}

#[track_caller]
fn goes_to(reply: &Reply, path: &str) {
    assert_eq!((reply.status, reply.header("location").as_deref()), (303, Some(path)), "{}", reply.text);
}

#[track_caller]
fn says(reply: &Reply, status: u16, text: &str) {
    assert_eq!(reply.status, status, "{}", reply.text);
    assert!(unescaped(&reply.text).contains(text), "{text:?} is not in {}", reply.text);
}

async fn planets(app: &App) -> Vec<Vec<String>> {
    app.sql("SELECT name, kind, moons FROM planets ORDER BY id").await
}

async fn log(app: &App) -> Vec<Vec<String>> {
    app.sql("SELECT action, object, changes FROM admin_log WHERE model = 'planets' ORDER BY id").await
}

const MARS: &[(&str, &str)] = &[("name", "Mars"), ("kind", "rock"), ("moons", "2")];

async fn a_new_model_needs_only_its_description(engine: Engine) {
    let app = App::start(engine).await;
    let (base, mut root) = (sky(&app).await, app.superuser("root").await);
    // Adding: errors appear next to their fields, and the entered values stay.
    let faulty = fill(&mut root, &base, "/admin/planets/add/", &[("name", "Mars"), ("moons", "many")]).await;
    says(&faulty, 422, "Enter a whole number.");
    says(&faulty, 422, "Kind: This field is required.");
    assert!(faulty.text.contains("aria-describedby=\"moons-faults\""), "{}", faulty.text);
    assert_eq!(filled(&faulty.text, &[]).iter().find(|(name, _)| name == "name").expect("it is there").1, "Mars");
    let added = fill(&mut root, &base, "/admin/planets/add/?back=q%3Dm", MARS).await;
    goes_to(&added, "/admin/planets/?q=m");
    let list = root.send(&base, Call::get("/admin/planets/")).await;
    says(&list, 200, "The planet “Mars” was added.");
    assert!(
        !root.send(&base, Call::get("/admin/planets/")).await.text.contains("was added"),
        "the message appears once"
    );
    // Changing: fields that are set only once are not posted, and unknown ones are ignored.
    let change = "/admin/planets/1/change/";
    let entered = [("moons", "3"), ("kind", "gas"), ("version", "77"), ("id", "9"), ("_continue", "1")];
    goes_to(&fill(&mut root, &base, change, &entered).await, change);
    assert_eq!(planets(&app).await, [["Mars", "rock", "3"]]);
    // If nothing changed, nothing is logged.
    goes_to(&fill(&mut root, &base, change, &[]).await, "/admin/planets/");
    assert_eq!(app.sql("SELECT version FROM planets").await, [["2"]]);
    let noted = log(&app).await;
    assert_eq!(noted.len(), 2, "{noted:?}");
    assert_eq!(noted[1], ["change", "Mars", r#"[{"field":"Moons","before":"2","after":"3"}]"#]);
    says(&root.send(&base, Call::get("/admin/planets/1/history/")).await, 200, "Moons");
    // A warning can only be overridden explicitly.
    let warned = fill(&mut root, &base, change, &[("moons", "200")]).await;
    says(&warned, 409, "That is a lot of moons.");
    let again = send(&mut root, &base, change, &filled(&warned.text, &[("_anyway", "1")])).await;
    goes_to(&again, "/admin/planets/");
    // Save as new, with a field that is set only once; and add another.
    says(&fill(&mut root, &base, change, &[("_as_new", "1"), ("_anyway", "1")]).await, 422, "the same values");
    let copied =
        fill(&mut root, &base, change, &[("_as_new", "1"), ("_anyway", "1"), ("name", "Two"), ("kind", "gas")]).await;
    assert_eq!(copied.status, 303, "{}", copied.text);
    assert_eq!(planets(&app).await, [["Mars", "rock", "200"], ["Two", "rock", "200"]]);
    let another = [("name", "Venus"), ("kind", "rock"), ("moons", "0"), ("_another", "1")];
    goes_to(&fill(&mut root, &base, "/admin/planets/add/", &another).await, "/admin/planets/add/");
    // Deleting one and several. Objects that were deleted by then are skipped.
    let two = app.sql("SELECT id FROM planets WHERE name = 'Two'").await[0][0].clone();
    let page = root.send(&base, Call::get("/admin/planets/1/delete/?back=q%3Dm")).await.expect(200);
    says(&page, 200, "Nothing depends on this planet.");
    let gone = root
        .send(
            &base,
            Call::post("/admin/planets/1/delete/")
                .body(Some("application/x-www-form-urlencoded"), root.form(&[("_back", "q=m")])),
        )
        .await;
    goes_to(&gone, "/admin/planets/?q=m");
    let asked = root.send(&base, Call::get(format!("/admin/planets/actions/delete/?ids=1&ids={two}&ids=99"))).await;
    says(&asked, 200, "Two");
    let done = send(&mut root, &base, "/admin/planets/actions/delete/", &filled(&asked.text, &[])).await;
    goes_to(&done, "/admin/planets/");
    says(&root.send(&base, Call::get("/admin/planets/")).await, 200, "Done: 1 planet.");
    let left = planets(&app).await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(log(&app).await.iter().filter(|line| line[0] == "delete").count(), 2);
}

async fn permissions_apply_to_a_new_model(engine: Engine) {
    let app = App::start(engine).await;
    let (base, mut root) = (sky(&app).await, app.superuser("root").await);
    fill(&mut root, &base, "/admin/planets/add/", MARS).await.expect(303);
    let mut viewer = app.staff("viewer", &["planets.view"]).await;
    let page = viewer.send(&base, Call::get("/admin/planets/1/change/")).await;
    says(&page, 200, "Mars");
    for hidden in ["name=\"name\"", "name=\"_save\"", "/delete/", "Save"] {
        assert!(!page.text.contains(hidden), "{hidden} in {}", page.text);
    }
    let fields = viewer.form(&[("name", "Moon"), ("moons", "1"), ("_version", "1"), ("ids", "1")]);
    for path in ["1/change/", "add/", "1/delete/", "actions/delete/"] {
        let call = Call::post(format!("/admin/planets/{path}"))
            .body(Some("application/x-www-form-urlencoded"), fields.clone());
        assert_eq!(viewer.send(&base, call).await.status, 403, "{path}");
    }
    let mut editor = app.staff("editor", &["planets.change"]).await;
    let page = editor.send(&base, Call::get("/admin/planets/1/change/")).await.expect(200);
    for hidden in ["_another", "_as_new", "/delete/"] {
        assert!(!page.text.contains(hidden), "{hidden} in {}", page.text);
    }
    let as_new = fill(&mut editor, &base, "/admin/planets/1/change/", &[("_as_new", "1"), ("name", "Two")]).await;
    assert_eq!(as_new.status, 403);
    assert_eq!(planets(&app).await, [["Mars", "rock", "2"]]);
}

/// A movie's shows are one line each, until there is something in them to see.
async fn stored_rows_are_closed(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let mut root = app.superuser("root").await;
    let path = "/admin/movies/1/change/";
    let page = root.get(&app, path).await.expect(200).text;
    let rows = |page: &str| {
        let of = |rest: &str| rest.starts_with(" open>");
        page.split("<details").skip(1).map(of).collect::<Vec<_>>()
    };
    assert_eq!(rows(&page), [false, false]);
    assert!(page.contains("<a href=\"/admin/shows/1/change/\">The Long Take, "), "{page}");
    assert_eq!(page.matches("<fieldset class=\"row\">").count(), 2 + 3 + 1, "new rows and their template are open");
    for (field, value) in [("total_seats", "x"), ("_delete", "1"), ("total_seats", "40")] {
        let name = format!("inline0-1-{field}");
        // Without a title, all of the form is refused.
        let fields = filled(&page, &[(&name, value), ("title", "")]);
        let refused = send(&mut root, app.base(), path, &fields).await.expect(422);
        assert_eq!(rows(&refused.text), [false, true], "{name}={value}: {}", refused.text);
    }
}

async fn outdated_forms_are_refused(engine: Engine) {
    let app = App::start(engine).await;
    let (base, mut root) = (sky(&app).await, app.superuser("root").await);
    fill(&mut root, &base, "/admin/planets/add/", MARS).await.expect(303);
    let mut other = app.staff("other", &["planets.change"]).await;
    let change = "/admin/planets/1/change/";
    let read = root.send(&base, Call::get(change)).await.expect(200);
    fill(&mut other, &base, change, &[("moons", "7")]).await.expect(303);
    // A user with the old version gets a conflict, which shows all three values.
    let stale = send(&mut root, &base, change, &filled(&read.text, &[("name", "Ares")])).await;
    says(&stale, 409, "changed by other at");
    says(&stale, 409, "<td>2</td><td>7</td><td>2</td>");
    says(&stale, 409, "<td>Mars</td><td>Mars</td><td>Ares</td>");
    assert_eq!(planets(&app).await, [["Mars", "rock", "7"]]);
    // Save anyway, over the current version: fields that were not edited keep their current values.
    send(&mut root, &base, change, &filled(&stale.text, &[])).await.expect(303);
    assert_eq!(planets(&app).await, [["Ares", "rock", "7"]]);
    app.sql("DELETE FROM planets").await;
    assert_eq!(send(&mut root, &base, change, &filled(&read.text, &[("moons", "1")])).await.status, 404);
}

/// An empty control is no edit of a value that was empty when the form was opened.
async fn rules_that_someone_else_set_are_kept(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let (mut root, base) = (app.superuser("root").await, app.base());
    let show = "/admin/shows/1/change/";
    let read = root.get(&app, show).await.expect(200);
    send(&mut root, base, show, &filled(&read.text, &[("user_limit", "4")])).await.expect(303);
    let stale = send(&mut root, base, show, &filled(&read.text, &[("total_seats", "41")])).await;
    says(&stale, 409, "<td>4</td>");
    send(&mut root, base, show, &filled(&stale.text, &[])).await.expect(303);
    assert_eq!(app.sql("SELECT total_seats, user_limit FROM shows WHERE id = 1").await, [["41", "4"]]);
}

async fn concurrent_saves_conflict(engine: Engine) {
    let app = App::start(engine).await;
    let (base, mut root) = (sky(&app).await, app.superuser("root").await);
    let (mut one, mut two) = (root.clone(), root.clone());
    let (one, two) = tokio::join!(
        fill(&mut one, &base, "/admin/planets/add/", MARS),
        fill(&mut two, &base, "/admin/planets/add/", MARS),
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 422], "{} {}", one.text, two.text);
    assert_eq!(planets(&app).await, [["Mars", "rock", "2"]], "one name, one planet");
    // The refused one may have used up an id.
    let change = &format!("/admin/planets/{}/change/", app.sql("SELECT id FROM planets").await[0][0]);
    let read = root.send(&base, Call::get(change)).await.expect(200);
    let entered = ["11", "12", "13", "14"].map(|moons| (root.clone(), filled(&read.text, &[("moons", moons)])));
    let sent = entered.into_iter().map(|(mut browser, fields)| {
        let base = base.clone();
        async move { send(&mut browser, &base, change, &fields).await.status }
    });
    let mut statuses = futures_util::future::join_all(sent).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 409, 409, 409], "of those who read the same, one saves");
    assert_eq!(app.sql("SELECT version FROM planets").await, [["2"]]);
}

async fn local_times_on_clock_change_days(engine: Engine) {
    let app = App::start(engine).await;
    let (base, mut root) = (sky(&app).await, app.superuser("root").await);
    let rises = |time| [MARS, &[("rises", time)]].concat();
    let gap = fill(&mut root, &base, "/admin/planets/add/", &rises("2026-03-29T02:30")).await;
    says(&gap, 422, "2026-03-29 02:30 does not exist");
    let fold = fill(&mut root, &base, "/admin/planets/add/", &rises("2026-10-25T02:30")).await;
    goes_to(&fold, "/admin/planets/");
    says(&root.send(&base, Call::get("/admin/planets/")).await, 200, "occurs twice");
    let micros = |text| marquee::time::clock::parse(text).expect("a time").to_string();
    assert_eq!(app.sql("SELECT rises FROM planets").await, [[micros("2026-10-25T00:30:00Z")]]);
    // A time that the control can't show stays when other fields are edited.
    for stored in ["2026-10-25T01:30:00Z", "2026-07-01T10:00:07.123456Z"].map(micros) {
        app.sql(&format!("UPDATE planets SET rises = {stored}")).await;
        fill(&mut root, &base, "/admin/planets/1/change/", &[("moons", &stored[stored.len() - 2..])]).await.expect(303);
        assert_eq!(app.sql("SELECT rises FROM planets").await, [[stored]]);
    }
    fill(&mut root, &base, "/admin/planets/1/change/", &[("rises", "")]).await.expect(303);
    assert_eq!(app.sql("SELECT rises FROM planets").await, [["NULL"]]);
}

async fn rows_are_saved_with_their_object(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let (base, mut root) = (app.base().to_owned(), app.superuser("root").await);
    let first = [
        ("title", "With shows"),
        ("duration_minutes", "90"),
        ("inline0-0-date_time", "2035-07-01T20:00"),
        ("inline0-0-screen_id", "1"),
        ("inline0-0-total_seats", "none"),
    ];
    let faulty = fill(&mut root, &base, "/admin/movies/add/", &first).await;
    says(&faulty, 422, "Seats: Enter a whole number.");
    assert_eq!(app.sql("SELECT COUNT(*) FROM movies").await, [["2"]], "all or nothing");
    let right = filled(&faulty.text, &[("inline0-0-total_seats", "10")]);
    send(&mut root, &base, "/admin/movies/add/", &right).await.expect(303);
    let shows = "SELECT s.total_seats FROM shows s JOIN movies m ON m.id = s.movie_id WHERE m.title = 'With shows'";
    assert_eq!(app.sql(shows).await, [["10"]]);
    let lines = app.sql("SELECT model, action FROM admin_log ORDER BY id").await;
    assert_eq!(lines, [["movies", "add"], ["shows", "add"]]);
    // The API shows it immediately.
    let listed = Call::get("/api/movies/3/shows/").bearer(&world.ann.access).send(&app).await.expect(200);
    assert_eq!(listed.json()[0]["total_seats"], 10, "{}", listed.text);
    let change = "/admin/movies/3/change/";
    goes_to(&fill(&mut root, &base, change, &[("inline0-0-_delete", "1")]).await, "/admin/movies/");
    assert!(app.sql(shows).await.is_empty());
    // Without the permission, the page has no controls to add, change or delete rows.
    fill(
        &mut root,
        &base,
        change,
        &first[2..4].iter().copied().chain([("inline0-0-total_seats", "5")]).collect::<Vec<_>>(),
    )
    .await
    .expect(303);
    let mut planner = app.staff("planner", &["movies.change", "shows.view"]).await;
    let forged = [
        ("inline0-0-total_seats", "7"),
        ("inline0-0-_delete", "1"),
        ("inline0-_rows", "2"),
        ("inline0-1-total_seats", "9"),
    ];
    fill(&mut planner, &base, change, &forged).await.expect(303);
    assert_eq!(app.sql(shows).await, [["5"]]);
    // Saving as new includes new rows. Stored rows stay with the original, and edits to them are dropped.
    let (stored, as_new) = ("inline0-0-total_seats", ("_as_new", "1"));
    let added = [("inline0-1-date_time", "2035-07-02T20:00"), ("inline0-1-screen_id", "1")];
    let of_copy =
        [&added[..], &[("inline0-1-total_seats", "many"), (stored, "6"), ("title", "Copied"), as_new]].concat();
    let faulty = fill(&mut root, &base, change, &of_copy).await;
    says(&faulty, 422, "Seats: Enter a whole number.");
    let right = filled(&faulty.text, &[("inline0-0-total_seats", "8")]);
    send(&mut root, &base, "/admin/movies/add/", &right).await.expect(303);
    assert_eq!(app.sql(shows).await, [["5"]]);
    assert_eq!(app.sql(&shows.replace("With shows", "Copied")).await, [["8"]]);
    // A row of another movie can't be changed here.
    let stolen = [("inline0-0-_id", "1"), ("inline0-0-_version", "1"), ("inline0-0-total_seats", "49")];
    says(&fill(&mut root, &base, change, &stolen).await, 422, "Someone else has removed one of these");
    assert_eq!(app.sql("SELECT total_seats FROM shows WHERE id = 1").await, [["50"]]);
}

async fn objects_that_others_depend_on_stay(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    booking(&world.ann, 1, 7).send(&app).await.expect(201);
    let (base, mut root) = (app.base().to_owned(), app.superuser("root").await);
    for (path, users) in [("movies/1", "3 shows"), ("screens/1", "2 shows"), ("shows/1", "1 booking")] {
        let path = format!("/admin/{path}/delete/");
        let page = root.send(&base, Call::get(&path)).await;
        // Deletions that would be refused are not offered.
        says(&page, 200, users);
        says(&page, 200, "can't be deleted");
        assert!(!page.text.contains("Yes, delete it"), "{path}: {}", page.text);
        let body = root.form(&[]);
        let refused = root.send(&base, Call::post(&path).body(Some("application/x-www-form-urlencoded"), body)).await;
        says(&refused, 409, "can't be deleted");
    }
    // The page links to the alternative, for users who may use it.
    let way_out = "<a class=\"button\" href=\"/admin/shows/actions/cancel/?ids=1\">Cancel shows…</a>";
    let path = "/admin/shows/1/delete/";
    says(&root.send(&base, Call::get(path)).await, 200, way_out);
    let mut planner = app.staff("planner", &["shows.change", "shows.delete"]).await;
    let page = planner.send(&base, Call::get(path)).await;
    says(&page, 200, "Cancel the show instead");
    assert!(!page.text.contains("/actions/cancel/"), "{}", page.text);
    // Checking whether it could be deleted deletes nothing.
    says(&root.send(&base, Call::get("/admin/shows/2/delete/")).await, 200, "Yes, delete it");
    assert_eq!(app.sql("SELECT COUNT(*) FROM shows").await, [["3"]]);
    let user = root.send(&base, Call::get("/admin/users/1/change/")).await.expect(200);
    assert!(!user.text.contains("/delete/"), "{}", user.text);
    says(&root.send(&base, Call::get("/admin/users/1/delete/")).await, 200, "Deactivate the account instead.");
    assert_eq!(app.sql("SELECT COUNT(*) FROM movies").await, [["2"]]);
    assert_eq!(app.sql("SELECT COUNT(*) FROM admin_log").await, [["0"]]);
    let asked = root.send(&base, Call::get("/admin/movies/actions/delete/?all=1")).await.expect(200);
    let done = send(&mut root, &base, "/admin/movies/actions/delete/", &filled(&asked.text, &[])).await;
    goes_to(&done, "/admin/movies/");
    let done = root.send(&base, Call::get("/admin/movies/")).await;
    says(&done, 200, "Done: 1 movie.");
    says(&done, 200, "The Long Take: ");
    assert_eq!(app.sql("SELECT id FROM movies").await, [["1"]]);
}

const MARKUP: &str = "<script>alert(1)</script>\"onx=\"{{7*7}}";

async fn add_prices_and_a_till(app: &App) {
    app.sql("INSERT INTO tills (name) VALUES ('Box 1')").await;
    app.sql("INSERT INTO till_days (till_id, day, currency, opened_at) VALUES (1, '2026-12-01', 'EUR', 1)").await;
    app.load(serde_json::json!({
        "ticket_types": [{"code": "adult", "name": "Adult"}],
        "price_cards": [{"name": "Day", "prices": [{"category": "Standard", "type": "adult", "price": "9"}]}],
        "price_rules": [{"card": "Day"}],
    }));
}

async fn stored_markup_is_escaped_everywhere(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    booking(&world.ann, 1, 7).send(&app).await.expect(201);
    let hold = Call::post("/api/shows/1/holds/").bearer(&world.ann.access);
    for seat in [8, 9] {
        let held = hold.clone().json(serde_json::json!({"seats": [seat]})).send(&app).await.expect(201).json();
        if seat == 8 {
            let confirm = format!("/api/holds/{}/confirm/", held["id"]);
            Call::post(confirm).bearer(&world.ann.access).send(&app).await;
        }
    }
    let (base, mut root) = (app.base().to_owned(), app.superuser("root").await);
    app.sql("INSERT INTO staff_groups (name) VALUES ('crew')").await;
    add_prices_and_a_till(&app).await;
    for model in SITE.models() {
        for field in model.fields() {
            let own = field
                .sql
                .strip_prefix("t.")
                .filter(|column| column.chars().all(|sign| sign.is_alphanumeric() || sign == '_'));
            if let (Kind::Text { .. }, Some(column)) = (field.kind, own) {
                app.sql(&format!("UPDATE {} SET {column} = '{MARKUP}' WHERE id = 1", model.table)).await;
            }
        }
    }
    // Entries of the log are shown too.
    let title = format!("{MARKUP}2");
    let entered = [("title", title.as_str()), ("duration_minutes", "100"), ("_anyway", "1")];
    fill(&mut root, &base, "/admin/movies/1/change/", &entered).await.expect(303);
    let mut paths = vec!["/admin/".to_owned(), "/admin/log/".to_owned()];
    paths.extend(["price_cards/1/prices/", "price_rules/all/"].map(|page| format!("/admin/{page}")));
    for model in SITE.models() {
        let name = model.name;
        paths.push(format!("/admin/{name}/"));
        paths.push(format!("/admin/{name}/?q=%3Cscript%3Ealert(1)%3C/script%3E%22onx=%22&back=%22onx=%22"));
        let only = if model.only.is_empty() { "1 = 1" } else { model.only };
        let joins: String = model.joins.iter().map(|join| join.to_sql("JOIN")).collect();
        let ids =
            app.sql(&format!("SELECT t.id FROM {} t{joins} WHERE {only} ORDER BY t.id LIMIT 2", model.table)).await;
        assert!(!ids.is_empty(), "there are no {name} to check");
        for row in ids {
            paths.extend(["change", "history", "delete"].map(|page| format!("/admin/{name}/{}/{page}/", row[0])));
            let actions = model.actions.iter().map(|action| action.name).chain(model.delete.map(|_| "delete"));
            paths.extend(actions.map(|action| format!("/admin/{name}/actions/{action}/?ids={}", row[0])));
        }
        if model.adds && model.save.is_some() {
            let filled = model.fields().map(|field| format!("{}=%3Cscript%3Ealert(1)%22onx=%22", field.name));
            paths.push(format!("/admin/{name}/add/?{}", filled.collect::<Vec<_>>().join("&")));
        }
    }
    let mut escaped = 0;
    for path in paths {
        let page = root.send(&base, Call::get(&path)).await;
        assert!([200, 404].contains(&page.status), "{path}: {} {}", page.status, page.text);
        for raw in ["<script>alert", "\"onx="] {
            assert!(!page.text.contains(raw), "{raw} at {path}: {}", page.text);
        }
        escaped += usize::from(page.text.contains("&#60;script&#62;alert"));
        let policy = page.header("content-security-policy").unwrap_or_else(|| panic!("{path} has no policy"));
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        let body = page.text.split_once("<body>").map_or("", |(_, body)| body);
        assert!(!body.contains("<script") && !body.contains(" style=") && !body.contains(" onclick"), "{path}");
    }
    assert!(escaped > 20, "markup was seen on {escaped} pages only");
}

/// If the query were not stopped, the answer would be different, and come much later.
async fn slow_queries_are_stopped(engine: Engine) {
    let app = App::start(engine).await;
    let (base, mut root) = (sky(&app).await, app.superuser("root").await);
    app.sql("INSERT INTO planets (name, kind, moons) VALUES ('Mars', 'rock', 2)").await;
    let stopped = root.send(&base, Call::get("/admin/stars/?far=1")).await;
    says(&stopped, 200, "This search takes too long.");
    // The number of matches is unknown, so the page does not claim any.
    assert!(!stopped.text.contains("Nothing matches") && !stopped.text.contains("0 stars"), "{}", stopped.text);
    // The connection still works.
    let all = root.send(&base, Call::get("/admin/stars/")).await;
    says(&all, 200, "1 star");
    assert!(!all.text.contains("too long"), "{}", all.text);
}

async fn the_example_in_the_documents_compiles() {
    let example = include_str!("planets.rs");
    let document = include_str!("../../../docs/admin.md");
    assert!(document.contains(example), "docs/admin.md shows another text than tests/it/admin/planets.rs");
    let description = example.split_once("pub static").expect("it is there").1.split_once("};\n").expect("it ends").0;
    assert!((30..=60).contains(&description.lines().count()), "{}", description.lines().count());
}
