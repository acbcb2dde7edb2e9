//! The timetable: days and weeks by screen, moving shows, and copying with collisions.

use marquee::time::clock;
use serde_json::json;

use super::cinema::follow;
use crate::support::{App, Browser, Engine, Options, booking, is_consistent};

tests! {
    admin_timetable: [
        a_day_is_drawn_and_listed,
        late_shows_belong_to_the_day_before,
        clock_changes_are_shown,
        a_week_begins_with_the_film_week,
        a_show_is_moved,
        warnings_come_before_a_move,
        moves_do_not_overwrite_other_changes,
        moves_need_permission,
        colliding_copies_are_listed_and_left_out,
    ]
}

const HOSTILE: &str = r#"<b>"Rain"</b>"#;
const ESCAPED: &str = "&#60;b&#62;&#34;Rain&#34;&#60;/b&#62;";

/// Starts in Berlin, with movies of 90 and 120 minutes, two screens and these shows: id, movie, screen, time.
async fn start(engine: Engine, shows: &[(i64, i64, i64, &str)]) -> (App, Browser) {
    let options = Options { env: vec![("TIME_ZONE", "Europe/Berlin".to_owned())], ..Options::default() };
    let app = App::start_with(engine, options).await;
    let shows = shows.iter().map(|(id, movie, screen, time)| {
        json!({"id": id, "movie": movie, "screen": screen, "date_time": time, "total_seats": 40})
    });
    app.load(json!({
        "movies": [
            {"id": 1, "title": HOSTILE, "duration_minutes": 90},
            {"id": 2, "title": "The Ferry", "duration_minutes": 120},
        ],
        "screens": [{"id": 1, "name": "Screen 10"}, {"id": 2, "name": "Screen 2"}],
        "shows": shows.collect::<Vec<_>>(),
    }));
    let staff = app.superuser("chief").await;
    (app, staff)
}

async fn open(app: &App, staff: &mut Browser, query: &str) -> String {
    staff.get(app, format!("/admin/timetable/{query}")).await.expect(200).text
}

/// The cells of the row of a show in the list, without markup.
fn row(page: &str, id: i64) -> Vec<String> {
    let list = page.split_once("id=\"list\"").expect("a list").1;
    let link = format!("href=\"/admin/shows/{id}/change/?back=");
    let row = list.split("<tr>").find(|row| row.contains(&link)).unwrap_or_else(|| panic!("no {id} in {list}"));
    row.split("<td").skip(1).map(|cell| text(&format!("<td{cell}"))).collect()
}

fn text(html: &str) -> String {
    let parts = html.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text));
    parts.collect::<String>().trim().to_owned()
}

/// How many shows are drawn.
fn drawn(page: &str) -> usize {
    page.matches("<a class=\"bar\"").count()
}

async fn a_day_is_drawn_and_listed(engine: Engine) {
    let (app, mut staff) = start(
        engine,
        &[
            (1, 1, 1, "2035-06-01T18:00:00Z"),
            (2, 2, 1, "2035-06-01T19:55:00Z"),
            (3, 1, 1, "2035-06-01T21:00:00Z"),
            (4, 2, 2, "2035-06-01T18:00:00Z"),
        ],
    )
    .await;
    app.sql("UPDATE shows SET pre_show_minutes = 20, format = '3D', labels = 'OmU' WHERE id = 1").await;
    let ann = app.customer("ann").await;
    booking(&ann, 1, 7).send(&app).await.expect(201);
    let page = open(&app, &mut staff, "?day=2035-06-01").await;
    assert_eq!(drawn(&page), 4, "{page}");
    assert!(page.contains("4 shows, 1 of 160 seats sold"), "{page}");
    assert_eq!(row(&page, 1), ["20:00", "20:20", "21:50", "22:05", ESCAPED, "3D OmU", "1 of 40", ""]);
    assert_eq!(row(&page, 2)[7], format!("⚠ Only 5 min after “{ESCAPED}”"));
    assert_eq!(row(&page, 3)[7], "⚠ Overlaps with “The Ferry”, which ends at 23:55");
    let (_, bar) = page.split_once("href=\"/admin/shows/1/change/?back=").expect("a bar");
    let bar = text(&format!("<a{}", bar.split_once("</a>").expect("its end").0));
    assert_eq!(bar, format!("20:00 3D OmU {ESCAPED} 1/40 seats sold, until 21:50"));
    assert!(!page.contains("<b>\"Rain"), "{page}");
    // The screens by their numbers; an hour before the first show, and free time leads to a new show.
    let (two, ten) = (page.find("aria-label=\"Screen 2\"").unwrap(), page.find("aria-label=\"Screen 10\"").unwrap());
    assert!(two < ten, "Screen 2 comes before Screen 10");
    let back = "back=%2Fadmin%2Ftimetable%2F%3Fday%3D2035-06-01";
    let add = &format!("/admin/shows/add/?{back}&amp;screen_id=2&amp;date_time=2035-06-01T22%3A15");
    assert!(page.contains(add), "{page}");
    let form = staff.get(&app, add.replace("&amp;", "&")).await.expect(200).text;
    assert!(form.contains("value=\"2035-06-01T22:15\"") && form.contains("<option value=\"2\" selected>"), "{form}");
    // A cancelled show needs no screen, and is drawn only if asked for.
    app.sql("UPDATE shows SET cancelled_at = 1 WHERE id = 2").await;
    let page = open(&app, &mut staff, "?day=2035-06-01").await;
    assert!(drawn(&page) == 3 && page.contains(">Show 1 cancelled show</a>"), "{page}");
    assert!(!page.contains("Overlaps with"), "{page}");
    let page = open(&app, &mut staff, "?day=2035-06-01&cancelled=1").await;
    assert_eq!((drawn(&page), row(&page, 2)[7].as_str()), (4, "Cancelled"), "{page}");
    assert!(open(&app, &mut staff, "?day=someday&view=odd").await.contains("Timetable, "));
    assert!(open(&app, &mut staff, "?day=9999-12-31&view=week").await.contains("Timetable, "));
    assert!(open(&app, &mut staff, "?day=-9999-01-01").await.contains("Timetable, "));
}

async fn late_shows_belong_to_the_day_before(engine: Engine) {
    let times = ["2035-06-01T22:15:00Z", "2035-06-02T02:30:00Z", "2035-06-02T03:00:00Z"];
    let (app, mut staff) =
        start(engine, &[(1, 1, 1, times[0]), (2, 1, 1, times[1]), (3, 1, 2, times[2]), (4, 1, 1, times[2])]).await;
    let page = open(&app, &mut staff, "?day=2035-06-01").await;
    assert_eq!(drawn(&page), 2, "{page}");
    assert_eq!(row(&page, 1)[..4], ["00:15", "00:15", "01:45", "02:00"]);
    assert_eq!(row(&page, 2)[..4], ["04:30", "04:30", "06:00", "06:15"]);
    // The show that is still running when the next day begins is on both days, and so is its clash.
    let page = open(&app, &mut staff, "?day=2035-06-02").await;
    assert_eq!(drawn(&page), 3, "{page}");
    assert_eq!(row(&page, 2)[0], "Sat 04:30");
    assert!(row(&page, 4)[7].contains("Overlaps with"), "{page}");
    assert!(page.contains("2 shows, 0 of 80 seats sold"), "a show counts on one day: {page}");
}

async fn clock_changes_are_shown(engine: Engine) {
    // The clocks go forward on 25 March 2035, and back on 28 October.
    let (app, mut staff) = start(
        engine,
        &[
            (1, 1, 1, "2035-03-24T23:30:00Z"),
            (2, 1, 1, "2035-03-25T01:15:00Z"),
            (3, 1, 1, "2035-10-28T00:30:00Z"),
            (4, 1, 2, "2035-10-28T01:30:00Z"),
        ],
    )
    .await;
    let page = open(&app, &mut staff, "?day=2035-03-24").await;
    assert!(page.contains("The clocks go forward: Saturday, 24 March has 23 hours."), "{page}");
    assert_eq!(row(&page, 1)[..4], ["00:30", "00:30", "03:00", "03:15"], "90 minutes later it is three");
    assert_eq!(row(&page, 2)[0], "03:15");
    assert!(!page.contains(">02:00</text>") && page.contains(">03:00</text>"), "{page}");
    let page = open(&app, &mut staff, "?day=2035-10-27").await;
    assert!(page.contains("The clocks go back: Saturday, 27 October has 25 hours."), "{page}");
    assert_eq!(page.matches(">02:00</text>").count(), 2, "{page}");
    assert_eq!((row(&page, 3)[0].as_str(), row(&page, 4)[0].as_str()), ("02:30", "02:30"));
    let page = open(&app, &mut staff, "?day=2035-10-24&view=week").await;
    assert!(!page.contains("The clocks go"), "the film week ends on Wednesday: {page}");
    let page = open(&app, &mut staff, "?day=2035-10-25&view=week").await;
    assert!(page.contains("The clocks go back: Saturday, 27 October has 25 hours."), "{page}");

    // The second half past two can't be entered in a form, so no move leads there.
    let sent = [("day", "2035-10-27"), ("show", "3"), ("version", "1"), ("begins", "2035-10-28T01:30:00Z")];
    let refused = staff.post(&app, "/admin/timetable/", &[&sent[..], &[("screen", "1")]].concat()).await.expect(409);
    assert!(refused.text.contains("02:30 occurs twice that night."), "{}", refused.text);
    // To another screen, it keeps its time.
    let sent = [("show", "4"), ("version", "1"), ("begins", ""), ("screen", "1"), ("_anyway", "1")];
    staff.post(&app, "/admin/timetable/", &sent).await.expect(303);
    assert_eq!(stored(&app, 3).await, at("2035-10-28T00:30:00Z", "1"));
    assert_eq!(stored(&app, 4).await, at("2035-10-28T01:30:00Z", "1"));
}

async fn a_week_begins_with_the_film_week(engine: Engine) {
    let (app, mut staff) = start(
        engine,
        &[
            (1, 1, 1, "2035-05-31T02:30:00Z"),
            (2, 1, 1, "2035-05-31T18:00:00Z"),
            (3, 2, 1, "2035-05-31T19:00:00Z"),
            (4, 1, 2, "2035-06-06T22:30:00Z"),
            (5, 1, 2, "2035-06-07T18:00:00Z"),
        ],
    )
    .await;
    for day in ["2035-05-31", "2035-06-03", "2035-06-06"] {
        let page = open(&app, &mut staff, &format!("?day={day}&view=week")).await;
        assert!(page.contains("Timetable, Thu, 31 May to Wed, 6 June 2035"), "{page}");
        let has = |id: i64| page.contains(&format!("href=\"/admin/shows/{id}/change/?back="));
        assert_eq!((1..=5).filter(|id| has(*id)).collect::<Vec<_>>(), [2, 3, 4], "{page}");
        assert!(page.contains("3 shows, 0 of 120 seats sold"), "{page}");
        assert!(page.contains(&format!("title=\"Overlaps with “{ESCAPED}”, which ends at 21:30\"")), "{page}");
        let (_, last) = page.split_once("<bdi>Screen 2</bdi>").expect("the screen");
        let days: Vec<&str> = last.split("</tr>").next().unwrap().split("<td>").skip(1).collect();
        assert_eq!(days.len(), 7);
        assert!(days[6].contains(">00:30 <bdi>"), "{}", days[6]);
        assert!(
            page.contains("href=\"/admin/shows/actions/copy_week/?from=2035-05-31&#38;to=2035-06-06&#38;back=%2F"),
            "{page}"
        );
    }
}

/// Posts a move of show 1, as the page has it.
async fn move_show(app: &App, staff: &mut Browser, begins: &str, screen: &str, more: &[(&str, &str)]) -> (u16, String) {
    let mut sent = vec![("day", "2035-06-01"), ("show", "1"), ("begins", begins), ("screen", screen)];
    if !more.iter().any(|(name, _)| *name == "version") {
        sent.push(("version", "1"));
    }
    sent.extend_from_slice(more);
    let reply = staff.post(app, "/admin/timetable/", &sent).await;
    (reply.status, reply.text)
}

/// When a show begins, and its screen.
async fn stored(app: &App, id: i64) -> (String, String) {
    let mut row = app.sql(&format!("SELECT date_time, screen_id FROM shows WHERE id = {id}")).await.remove(0);
    (clock::iso(row[0].parse().expect("a time")), row.remove(1))
}

fn at(time: &str, screen: &str) -> (String, String) {
    (time.to_owned(), screen.to_owned())
}

const SHOWS: [(i64, i64, i64, &str); 2] = [(1, 1, 1, "2035-06-01T18:00:00Z"), (2, 2, 2, "2035-06-01T18:00:00Z")];

async fn assert_unmoved(app: &App) {
    assert_eq!(stored(app, 1).await, at(SHOWS[0].3, "1"));
}

async fn a_show_is_moved(engine: Engine) {
    let (app, mut staff) = start(engine, &SHOWS).await;
    let page = open(&app, &mut staff, "?day=2035-06-01").await;
    assert!(page.contains("data-show=\"1\" data-version=\"1\" data-begins=\"2035-06-01T18:00:00Z\""), "{page}");
    let (status, _) = move_show(&app, &mut staff, "2035-06-01T20:30:00.000Z", "2", &[]).await;
    assert_eq!(status, 303);
    assert_eq!(stored(&app, 1).await, at("2035-06-01T20:30:00Z", "2"));
    let page = open(&app, &mut staff, "?day=2035-06-01").await;
    assert!(page.contains("was moved."), "{page}");
    let history = staff.get(&app, "/admin/shows/1/history/").await.expect(200).text;
    for part in ["Begins", "2035-06-01 20:00", "2035-06-01 22:30", "Screen", "Screen 10", "Screen 2"] {
        assert!(history.contains(part), "{part} is not in {history}");
    }
    for (begins, screen) in [("soon", "1"), ("2035-06-01T18:00:00Z", "77"), ("2035-06-01T18:00:00Z", "<b>")] {
        let (status, page) = move_show(&app, &mut staff, begins, screen, &[("version", "2")]).await;
        assert!(status == 409 && page.contains("Nothing was moved"), "{begins} {screen}: {status} {page}");
    }
    assert_eq!(stored(&app, 1).await, at("2035-06-01T20:30:00Z", "2"));
}

async fn warnings_come_before_a_move(engine: Engine) {
    let (app, mut staff) = start(engine, &SHOWS).await;
    let ann = app.customer("ann").await;
    booking(&ann, 1, 7).send(&app).await.expect(201);
    let version = app.sql("SELECT version FROM shows WHERE id = 1").await.remove(0).remove(0);
    let more = [("version", version.as_str())];
    let (status, page) = move_show(&app, &mut staff, "2035-06-01T17:00:00Z", "2", &more).await;
    assert_eq!(status, 409);
    assert!(page.contains("1 seat is already sold or on hold for the old time and screen."), "{page}");
    assert!(page.contains("The screen is taken by &#34;The Ferry&#34;"), "{page}");
    assert!(
        page.contains("name=\"begins\" value=\"2035-06-01T17:00:00Z\"") && page.contains(">Move anyway<"),
        "{page}"
    );
    assert_unmoved(&app).await;
    let (status, page) = move_show(&app, &mut staff, "2020-06-01T18:00:00Z", "1", &more).await;
    assert!(status == 409 && page.contains("This show begins in the past."), "{page}");
    assert_unmoved(&app).await;
    let anyway = [more[0], ("_anyway", "1")];
    assert_eq!(move_show(&app, &mut staff, "2035-06-01T17:00:00Z", "2", &anyway).await.0, 303);
    assert_eq!(stored(&app, 1).await, at("2035-06-01T17:00:00Z", "2"));
    is_consistent(&app).await;
}

async fn moves_do_not_overwrite_other_changes(engine: Engine) {
    let (app, mut staff) = start(engine, &SHOWS).await;
    let mut other = app.superuser("other").await;
    assert_eq!(move_show(&app, &mut other, "2035-06-01T19:00:00Z", "1", &[]).await.0, 303);
    let (status, page) = move_show(&app, &mut staff, "2035-06-01T17:00:00Z", "1", &[("_anyway", "1")]).await;
    assert!(status == 409 && page.contains("Someone else has changed this show"), "{page}");
    assert_eq!(row(&page, 1)[0], "21:00", "the page has the other's time");
    let gone = [("show", "99"), ("version", "1"), ("begins", ""), ("screen", "1")];
    staff.post(&app, "/admin/timetable/", &gone).await.expect(409);
}

async fn moves_need_permission(engine: Engine) {
    let (app, _) = start(engine, &SHOWS).await;
    let mut nobody = app.staff("nobody", &["movies.view"]).await;
    assert_eq!(nobody.get(&app, "/admin/timetable/").await.status, 403);
    assert!(!nobody.get(&app, "/admin/").await.text.contains("/admin/timetable/"));
    let mut viewer = app.staff("viewer", &["shows.view"]).await;
    assert!(viewer.get(&app, "/admin/").await.expect(200).text.contains("href=\"/admin/timetable/\""));
    let page = open(&app, &mut viewer, "?day=2035-06-01").await;
    for absent in ["data-show", "/admin/shows/add/", "copy_day", "class=\"moving\""] {
        assert!(!page.contains(absent), "{absent} is in {page}");
    }
    assert_eq!(move_show(&app, &mut viewer, "2035-06-01T17:00:00Z", "1", &[]).await.0, 403);
    let mut changer = app.staff("changer", &["shows.view", "shows.change"]).await;
    let csrf = std::mem::take(&mut changer.csrf);
    assert_eq!(move_show(&app, &mut changer, "2035-06-01T17:00:00Z", "1", &[]).await.0, 403, "without the token");
    assert_unmoved(&app).await;
    changer.csrf = csrf;
    assert_eq!(move_show(&app, &mut changer, "2035-06-01T17:00:00Z", "1", &[]).await.0, 303);
}

async fn colliding_copies_are_listed_and_left_out(engine: Engine) {
    let shows = [SHOWS[0], SHOWS[1], (3, 2, 1, "2035-06-02T19:00:00Z")];
    let (app, mut staff) = start(engine, &shows).await;
    let link = "shows/actions/copy_day/?from=2035-06-01&to=2035-06-01";
    let asked = staff.get(&app, format!("/admin/{link}")).await.expect(200).text;
    assert!(asked.contains("value=\"2035-06-01\"") && asked.contains("List them first"), "{asked}");
    let count = || async { app.sql("SELECT COUNT(*) FROM shows").await.remove(0).remove(0) };
    let form = |collisions| [("from", "2035-06-01"), ("first", ""), ("times", "1"), ("collisions", collisions)];
    let path = "/admin/shows/actions/copy_day/";
    let listed = staff.post(&app, path, &form("list")).await.expect(409).text;
    assert!(listed.contains("2035-06-02 20:00, Screen 10: The screen is taken by"), "{listed}");
    assert!(listed.contains("1 show collides with others. To copy only the rest"), "{listed}");
    assert_eq!(count().await, "3");
    let reply = staff.post(&app, path, &form("leave_out")).await;
    let page = follow(&app, &mut staff, reply).await;
    assert!(page.contains("Done: 1 show.") && page.contains("The screen is taken by"), "{page}");
    assert_eq!(count().await, "4");
    let copies = app.sql("SELECT screen_id FROM shows WHERE id > 3").await;
    assert_eq!(copies, [["2"]]);
    // Those that collide can still be copied, and those that exist are skipped.
    let all = [&form("list")[..], &[("_anyway", "1")]].concat();
    staff.post(&app, path, &all).await.expect(303);
    assert_eq!(count().await, "5");
    is_consistent(&app).await;
}
