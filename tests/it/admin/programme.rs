//! What the programme says about movies and shows, in the panel's forms.

use super::cinema::run;
use crate::support::{App, Browser, Engine};

tests! {
    admin_programme: [
        a_movie_has_details,
        a_show_has_a_presentation,
        shows_are_copied_with_their_presentation,
        the_pre_show_takes_time,
        forms_lead_back_to_the_timetable,
    ]
}

const MOVIE: &[(&str, &str)] = &[
    ("title", "The Orchard"),
    ("duration_minutes", "90"),
    ("original_title", "Der Obstgarten"),
    ("synopsis", "One.\r\nTwo."),
    ("genres", "Drama, comedy; drama"),
    ("rating", "12"),
    ("rating_system", "FSK"),
    ("release_date", "2026-11-26"),
    ("distributor", "Halfmoon"),
    ("imdb_id", "https://www.imdb.com/title/tt0111161/"),
    ("tmdb_id", "278"),
    ("_save", "1"),
];

/// Returns a form with other values in some of its fields.
fn with<'a>(form: &[(&'a str, &'a str)], given: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let is_kept = |(name, _): &&(&str, &str)| given.iter().all(|(other, _)| other != name);
    form.iter().filter(is_kept).chain(given).copied().collect()
}

async fn a_movie_has_details(engine: Engine) {
    let app = App::start(engine).await;
    let mut root = app.superuser("root").await;
    root.post(&app, "/admin/movies/add/", MOVIE).await.expect(303);
    let columns =
        "original_title, synopsis, genres, rating, rating_system, release_date, distributor, imdb_id, tmdb_id";
    let stored = app.sql(&format!("SELECT {columns} FROM movies")).await;
    let expected =
        ["Der Obstgarten", "One.\nTwo.", "Drama, comedy", "12", "FSK", "2026-11-26", "Halfmoon", "tt0111161", "278"];
    assert_eq!(stored, [expected]);
    let page = root.get(&app, "/admin/movies/1/change/").await.expect(200).text;
    assert!(page.contains("Der Obstgarten") && page.contains("For the programme"), "{page}");
    for (field, value, problem) in [
        ("rating_system", "", "Enter the system of the rating"),
        ("release_date", "26.11.2026", "Enter a date as year-month-day"),
        ("release_date", "2026-02-30", "Enter a date as year-month-day"),
        ("imdb_id", "<script>", "Enter an id like tt0111161"),
        ("tmdb_id", "0", "Enter a number from 1"),
        ("rating", "a rating that is far too long", "at most 20 characters"),
    ] {
        let form = with(MOVIE, &[(field, value), ("_version", "1")]);
        let page = root.post(&app, "/admin/movies/1/change/", &form).await.text;
        assert!(page.contains(problem), "{field}: {page}");
    }
    assert_eq!(app.sql(&format!("SELECT {columns} FROM movies")).await, [expected], "a refused form changes nothing");
}

const SHOW: &[(&str, &str)] = &[
    ("movie_id", "1"),
    ("screen_id", "1"),
    ("date_time", "2035-06-01T18:30"),
    ("total_seats", "50"),
    ("format", "IMAX 3D"),
    ("language", "pt-BR"),
    ("subtitles", "de"),
    ("labels", "OV; OmU"),
    ("pre_show_minutes", "20"),
    ("audio_description", "1"),
    ("relaxed", "1"),
    ("_save", "1"),
];

const PRESENTATION: &str =
    "format, language, subtitles, labels, pre_show_minutes, audio_description, captions, relaxed, unlisted_key";

async fn change(app: &App, root: &mut Browser, given: &[(&str, &str)]) -> String {
    let version = app.sql("SELECT version FROM shows WHERE id = 1").await[0][0].clone();
    let form = with(SHOW, &[&[("_version", version.as_str())], given].concat());
    let reply = root.post(app, "/admin/shows/1/change/", &form).await;
    if reply.status == 303 { String::new() } else { reply.text }
}

async fn a_show_has_a_presentation(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let mut root = app.superuser("root").await;
    assert_eq!(change(&app, &mut root, &[]).await, "");
    let stored = app.sql(&format!("SELECT {PRESENTATION} FROM shows WHERE id = 1")).await;
    assert_eq!(stored, [["IMAX 3D", "pt-BR", "de", "OV, OmU", "20", "1", "0", "1", "NULL"]]);
    for (field, value, problem) in [
        ("format", "5D", "Choose one of the options"),
        ("language", "Klingon", "Choose one of the options"),
        ("pre_show_minutes", "121", "Enter a number from 0 to 120"),
        ("labels", &"x".repeat(61), "at most 60 characters"),
    ] {
        assert!(change(&app, &mut root, &[(field, value)]).await.contains(problem), "{field}");
    }
    // An unlisted show keeps its key until it is listed again.
    let key = async || app.sql("SELECT unlisted_key FROM shows WHERE id = 1").await[0][0].clone();
    assert_eq!(change(&app, &mut root, &[("unlisted", "1")]).await, "");
    let first = key().await;
    assert_eq!(first.len(), 22, "{first}");
    assert_eq!(change(&app, &mut root, &[("unlisted", "1"), ("captions", "1")]).await, "");
    assert_eq!(key().await, first);
    let page = root.get(&app, "/admin/shows/1/change/").await.expect(200).text;
    assert!(page.contains(&format!("/api/shows/1/?key={first}")), "{page}");
    assert_eq!(change(&app, &mut root, &[]).await, "");
    assert_eq!(key().await, "NULL");
    // The rows of shows in a movie's form have no such fields, and change nothing of them.
    let page = root.get(&app, "/admin/shows/").await.expect(200).text;
    assert!(page.contains("IMAX 3D OV OmU"), "{page}");
}

async fn shows_are_copied_with_their_presentation(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let mut root = app.superuser("root").await;
    assert_eq!(change(&app, &mut root, &[("unlisted", "1")]).await, "");
    let copy = [("first", "2035-06-08"), ("times", "1"), ("every", "week")];
    run(&app, &mut root, "shows.copy", &[1], &copy).await;
    let copied = app.sql("SELECT MAX(id) FROM shows").await[0][0].clone();
    let of = async |id: &str| app.sql(&format!("SELECT {PRESENTATION} FROM shows WHERE id = {id}")).await[0].clone();
    let (source, copy) = (of("1").await, of(&copied).await);
    assert_eq!(source[..8], copy[..8]);
    assert!(copy[8].len() == 22 && copy[8] != source[8], "a copy has a key of its own: {copy:?}");
}

async fn the_pre_show_takes_time(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let mut root = app.superuser("root").await;
    // A movie of 142 minutes after a pre-show of 20 ends at 21:12; with 15 minutes for cleaning, 21:20 is too early.
    assert_eq!(change(&app, &mut root, &[]).await, "");
    let next = [("movie_id", "1"), ("screen_id", "1"), ("date_time", "2035-06-01T21:20"), ("total_seats", "50")];
    let page = root.post(&app, "/admin/shows/add/", &with(&next, &[("_save", "1")])).await.expect(409).text;
    assert!(page.contains("from 2035-06-01 18:30 to 2035-06-01 21:12"), "{page}");
    assert_eq!(change(&app, &mut root, &[("pre_show_minutes", "0")]).await, "");
    root.post(&app, "/admin/shows/add/", &with(&next, &[("_save", "1")])).await.expect(303);
}

async fn forms_lead_back_to_the_timetable(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let mut root = app.superuser("root").await;
    let day = "/admin/timetable/?day=2035-06-01";
    let page = root.get(&app, day).await.expect(200).text;
    assert!(
        page.contains("/admin/shows/add/?back=%2Fadmin%2Ftimetable%2F%3Fday%3D2035-06-01&amp;screen_id="),
        "{page}"
    );
    let show = [("movie_id", "2"), ("screen_id", "2"), ("date_time", "2035-06-01T10:00"), ("total_seats", "5")];
    let add = with(&show, &[("_save", "1"), ("_back", day)]);
    let reply = root.post(&app, "/admin/shows/add/", &add).await.expect(303);
    assert_eq!(reply.header("location").as_deref(), Some(day));
    assert_eq!(change(&app, &mut root, &[("unlisted", "1"), ("labels", "")]).await, "");
    let page = root.get(&app, day).await.expect(200).text;
    assert!(page.contains("IMAX 3D pt-BR/de Unlisted"), "{page}");
    // Another site is no page of the panel.
    for back in ["//evil.example/", "https://evil.example/", "/admin.evil.example/", "\\evil"] {
        let again =
            with(&show, &[("date_time", "2035-06-01T12:00"), ("_save", "1"), ("_back", back), ("_anyway", "1")]);
        let reply = root.post(&app, "/admin/shows/add/", &again).await.expect(303);
        assert!(reply.header("location").expect("a place").starts_with("/admin/shows/?"), "{back}");
    }
    // Only a screen with a seat plan knows the number of seats.
    let none = with(&show, &[("total_seats", ""), ("_save", "1")]);
    let page = root.post(&app, "/admin/shows/add/", &none).await.expect(422).text;
    assert!(page.contains("This screen has no seat plan. Enter the number of seats."), "{page}");
}
