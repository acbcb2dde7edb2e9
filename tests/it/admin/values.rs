//! Old, imported and odd values: they block no form, and nothing rewrites them unasked. A longer movie warns of its
//! shows.

use serde_json::json;

use super::forms::filled;
use crate::support::{App, Browser, Call, Engine, Reply};

tests! {
    admin_values: [
        values_that_nobody_changed_are_not_judged,
        control_characters_are_cleaned,
        titles_from_right_to_left_are_isolated,
        a_longer_movie_warns_of_its_shows,
        a_similar_screen_is_warned_of,
    ]
}

/// Sends a page's form as a browser does, with these entries. A browser shows no line breaks in a line.
async fn send(app: &App, browser: &mut Browser, path: &str, entries: &[(&str, &str)]) -> Reply {
    let page = browser.get(app, path).await.expect(200).text;
    let mut sent = filled(&page, entries);
    sent.iter_mut().for_each(|(_, value)| value.retain(|letter| letter != '\n'));
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(sent).finish();
    browser.send(app.base(), Call::post(path).body(Some("application/x-www-form-urlencoded"), body)).await
}

async fn values_that_nobody_changed_are_not_judged(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let mut root = app.superuser("root").await;
    // As an import may bring them.
    app.sql("UPDATE users SET email = '', username = 'jane doe', username_key = 'jane doe' WHERE username = 'ann'")
        .await;
    app.sql("UPDATE movies SET duration_minutes = 5000, title = 'A\n(OV)' WHERE id = 2").await;
    app.sql("UPDATE shows SET total_seats = 0 WHERE id = 2").await;
    let user = format!("/admin/users/{}/change/", world.ann.id);
    let page = root.get(&app, &*user).await.expect(200).text;
    let email = page.split("<input ").find(|input| input.contains("id=\"email\"")).expect("a field");
    assert!(!email.split('>').next().unwrap_or_default().contains("required"), "the browser would ask for it: {email}");
    send(&app, &mut root, &user, &[("first_name", "Jane")]).await.expect(303);
    send(&app, &mut root, &user, &[("is_active", "")]).await.expect(303);
    let stored = app.sql(&format!("SELECT first_name, username, email FROM users WHERE id = {}", world.ann.id)).await;
    assert_eq!(stored, [["Jane", "jane doe", ""]]);
    // A changed value is judged.
    for (field, value) in [("username", "jane  doe"), ("email", "nowhere")] {
        let refused = send(&app, &mut root, &user, &[(field, value)]).await.expect(422);
        assert!(refused.text.contains("Nothing was saved"), "{}", refused.text);
    }

    let movie = "/admin/movies/2/change/";
    let page = root.get(&app, movie).await.expect(200).text;
    assert!(page.contains("max=\"5000\""), "the browser accepts the stored number: {page}");
    send(&app, &mut root, movie, &[("duration_minutes", "95")]).await.expect(303);
    assert_eq!(app.sql("SELECT title, duration_minutes FROM movies WHERE id = 2").await, [["A\n(OV)", "95"]]);
    send(&app, &mut root, movie, &[("duration_minutes", "5000")]).await.expect(422);

    let show = "/admin/shows/2/change/";
    let form = [("movie_id", "1"), ("screen_id", "2"), ("order_limit", "3")];
    send(&app, &mut root, show, &form).await.expect(303);
    assert_eq!(app.sql("SELECT total_seats, order_limit FROM shows WHERE id = 2").await, [["0", "3"]]);
    let form = [("movie_id", "1"), ("screen_id", "1"), ("date_time", "2035-07-01T10:00"), ("total_seats", "0")];
    root.post(&app, "/admin/shows/add/", &form).await.expect(422);
}

async fn control_characters_are_cleaned(engine: Engine) {
    let app = App::start(engine).await;
    let mut root = app.superuser("root").await;
    for (title, expected) in [
        ("A\n(OV)", "A (OV)"),
        ("B\u{0}C", "BC"),
        ("\u{202e}D", "D"),
        ("E\t\tF", "E F"),
        ("Ne\u{301}a \u{5d0}", "Ne\u{301}a \u{5d0}"),
    ] {
        let form = [("title", title), ("duration_minutes", "90")];
        root.post(&app, "/admin/movies/add/", &form).await.expect(303);
        let stored = app.sql("SELECT title FROM movies ORDER BY id DESC LIMIT 1").await.concat();
        assert_eq!(stored, [expected], "{title:?}");
    }
    root.post(&app, "/admin/movies/add/", &[("title", "\u{0}\n"), ("duration_minutes", "90")]).await.expect(422);
    // A cell of a list and a group's name are cleaned, too.
    root.post(&app, "/admin/screens/add/", &[("name", "Big\u{7f}\nDome")]).await.expect(303);
    assert_eq!(app.sql("SELECT name FROM screens").await, [["Big Dome"]]);
}

async fn titles_from_right_to_left_are_isolated(engine: Engine) {
    const TITLE: &str = "\u{5e9}\u{5dc}\u{5d5}\u{5dd} 2";
    let app = App::start(engine).await;
    app.world().await;
    app.sql(&format!("UPDATE movies SET title = '{TITLE}' WHERE id = 1")).await;
    let mut root = app.superuser("root").await;
    let list = root.get(&app, "/admin/shows/").await.expect(200).text;
    assert!(list.contains(&format!("<bdi>{TITLE}</bdi>")), "{list}");
    let page = root.get(&app, "/admin/shows/1/change/").await.expect(200).text;
    assert!(page.contains(&format!("<h1>\u{2068}{TITLE}\u{2069}, 2035-06-01 18:30, Screen 1</h1>")), "{page}");
    let page = root.get(&app, "/admin/movies/1/change/").await.expect(200).text;
    assert!(page.contains(&format!("value=\"{TITLE}\" dir=\"auto\"")), "the value itself is not changed: {page}");
}

async fn a_longer_movie_warns_of_its_shows(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let mut root = app.superuser("root").await;
    // 25 minutes after the show of 18:30, which lasts until 20:52, and one that is past.
    app.load(json!({"shows": [
        {"movie": 2, "screen": 1, "date_time": "2035-06-01T21:17:00Z", "total_seats": 5},
        {"movie": 2, "screen": 1, "date_time": "2020-01-01T14:25:00Z", "total_seats": 5},
    ]}));
    let warning = "On Screen 1, the show of 2035-06-01 18:30 would last until 21:10";
    let warning = warning.replace("21:10", "2035-06-01 21:10");
    let movie = "/admin/movies/1/change/";
    let warned = send(&app, &mut root, movie, &[("duration_minutes", "160")]).await.expect(409);
    assert!(warned.text.contains(&warning) && warned.text.contains("No Shows Tonight"), "{}", warned.text);
    assert!(!warned.text.contains("2020-01-01 12:00 would"), "{}", warned.text);
    assert_eq!(app.sql("SELECT duration_minutes FROM movies WHERE id = 1").await, [["142"]]);
    // In the list, too.
    let cell = [("1-duration_minutes", "160"), ("1-duration_minutes-was", "142"), ("1-version", "1")];
    root.post(&app, "/admin/movies/", &cell).await.expect(303);
    let list = root.get(&app, "/admin/movies/").await.expect(200).text;
    assert!(list.contains("Not saved: movie “The Long Take”.") && list.contains(&warning), "{list}");
    // However many shows there are.
    let times = (0..60).map(|n| format!("2036-{:02}-{:02}T18:00:00Z", n % 12 + 1, n / 12 + 1));
    let pairs = times.flat_map(|first| [first.clone(), first.replace("18:00", "20:30")]);
    let shows = pairs.map(|at| json!({"movie": 1, "screen": 1, "date_time": at, "total_seats": 5}));
    app.load(json!({"shows": shows.collect::<Vec<_>>()}));
    root.post(&app, "/admin/movies/", &cell).await.expect(303);
    let list = root.get(&app, "/admin/movies/").await.expect(200).text;
    assert!(list.contains("Not saved: movie “The Long Take”.") && !list.contains("Done."), "{list}");
    app.sql("DELETE FROM shows WHERE date_time >= 2082758400000000").await;
    // And loaddata loads it, with the warning.
    let file = tempfile::Builder::new().suffix(".json").tempfile().expect("a file");
    let movies = json!({"movies": [{"id": 1, "title": "The Long Take", "duration_minutes": 160}]});
    std::fs::write(file.path(), movies.to_string()).expect("it can be written");
    let output = app.succeed(&["loaddata", file.path().to_str().expect("UTF-8")]);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).expect("UTF-8");
    assert!(said.contains(&format!("WARNING movies[0]: {warning}")), "{said}");
    // There is no second warning of the same shows, and none if a movie gets shorter.
    send(&app, &mut root, movie, &[("duration_minutes", "161")]).await.expect(303);
    send(&app, &mut root, movie, &[("duration_minutes", "100")]).await.expect(303);
    // The warning can be overridden.
    let anyway = [("duration_minutes", "170"), ("_anyway", "1")];
    send(&app, &mut root, movie, &anyway).await.expect(303);
}

/// A screen that people would take for another one, in the form and in a file.
async fn a_similar_screen_is_warned_of(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let mut root = app.superuser("root").await;
    let (add, change) = ("/admin/screens/add/", "/admin/screens/2/change/");
    let told = "There is already a screen named &#34;Screen 1&#34;.";
    for name in ["screen 1", "Screen  1", "SCRÉEN 1"] {
        let warned = root.post(&app, add, &[("name", name)]).await.expect(409);
        assert!(warned.text.contains(told), "{name}: {}", warned.text);
        root.post(&app, change, &[("name", name), ("_version", "1")]).await.expect(409);
    }
    root.post(&app, add, &[("name", "Screen 1")]).await.expect(422);
    // Its own name in another form is no other screen.
    root.post(&app, change, &[("name", "SCREEN 2"), ("_version", "1")]).await.expect(303);
    root.post(&app, change, &[("name", "screen 1"), ("_version", "2"), ("_anyway", "1")]).await.expect(303);
    let load = |name: &str| {
        let file = tempfile::Builder::new().suffix(".json").tempfile().expect("a file");
        std::fs::write(file.path(), json!({"screens": [{"name": name}]}).to_string()).expect("it can be written");
        let output = app.succeed(&["loaddata", file.path().to_str().expect("UTF-8")]);
        String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8")
    };
    let said = load("Screen-1");
    assert!(!said.contains("WARNING"), "{said}");
    let said = load("screen-1");
    assert!(said.contains("WARNING screens[0].name: there is already a screen named \"Screen-1\""), "{said}");
    let said = load("screen 1");
    assert!(!said.contains("WARNING"), "it is the stored one: {said}");
}
