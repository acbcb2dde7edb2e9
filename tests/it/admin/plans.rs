//! Seat plans in the panel: the editor, its templates and generator, import and export, versions, and shows that move to
//! a newer one.

use std::time::Instant;

use super::forms::attribute;
use crate::api::holds::hold;
use crate::support::staff::PASSWORD;
use crate::support::{App, Browser, Call, Engine, Reply, booking};

tests! {
    admin_plans: [
        a_screen_leads_to_its_plan,
        a_text_becomes_a_version,
        faults_are_named_and_marked,
        templates_and_rows_replace_only_unchanged_texts,
        a_plan_that_is_sent_twice_is_saved_once,
        two_people_do_not_overwrite_each_other,
        a_text_outlives_its_session,
        every_format_can_be_imported_and_exported,
        an_imported_plan_stays_what_it_is,
        shows_move_only_if_nothing_sold_changes,
        only_those_who_may_change_plans,
        what_people_type_is_only_text,
        texts_have_limits,
    ]
}

const PLAN: &str = "/admin/screens/1/plan/";
const TEXT: &str =
    "name: Screen 1\ncategory: S = Standard, #4a7fb5\ncategory: P = Premium, #e0a030\n\nA | SSSS\nB | SSPP\n";

async fn start(engine: Engine) -> (App, Browser) {
    let app = App::start(engine).await;
    app.world().await;
    let root = app.superuser("root").await;
    (app, root)
}

/// Returns the value of a hidden field of a page.
fn hidden(page: &str, name: &str) -> String {
    let inputs = page.split("<input ").skip(1);
    let found = inputs.filter(|input| attribute(input, "name").as_deref() == Some(name));
    found.filter_map(|input| attribute(input, "value")).next().unwrap_or_default()
}

/// Opens the editor and sends its form with this text and button.
async fn send(app: &App, who: &mut Browser, text: &str, button: &str) -> Reply {
    let page = who.get(app, PLAN).await.expect(200).text;
    send_from(app, who, &page, text, button).await
}

/// Sends the form of an open editor.
async fn send_from(app: &App, who: &mut Browser, page: &str, text: &str, button: &str) -> Reply {
    let [once, loaded, base] = ["_once", "_loaded", "_base"].map(|name| hidden(page, name));
    // As browsers send line breaks.
    let text = text.replace('\n', "\r\n");
    let fields = [("_once", &*once), ("_loaded", &loaded), ("_base", &base), ("text", &text), ("_do", button)];
    who.post(app, PLAN, &fields).await
}

pub async fn save(app: &App, who: &mut Browser, text: &str) {
    let reply = send(app, who, text, "save").await;
    assert_eq!(reply.status, 303, "{}", reply.text);
}

async fn follow(app: &App, who: &mut Browser, reply: Reply) -> String {
    let to = reply.expect(303).header("location").expect("a redirect");
    who.get(app, to).await.expect(200).text
}

async fn versions(app: &App) -> Vec<Vec<String>> {
    app.sql("SELECT version, seats FROM plans WHERE screen_id = 1 ORDER BY version").await
}

async fn a_screen_leads_to_its_plan(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let list = root.get(&app, "/admin/screens/").await.expect(200).text;
    assert!(list.contains("<a href=\"/admin/screens/1/plan/\"><bdi>No plan yet</bdi></a>"), "{list}");
    let form = root.get(&app, "/admin/screens/1/change/").await.expect(200).text;
    assert!(form.contains("<a href=\"/admin/screens/1/plan/\">Seat plan</a>"), "{form}");
    let page = root.get(&app, PLAN).await.expect(200).text;
    assert_eq!(page.matches("value=\"template:").count(), 10, "{page}");
    assert!(page.contains("name: Screen 1\n") && page.contains("10 seats, no faults"), "{page}");
    save(&app, &mut root, TEXT).await;
    let list = root.get(&app, "/admin/screens/").await.expect(200).text;
    assert!(list.contains("<a href=\"/admin/screens/1/plan/\"><bdi>8 seats</bdi></a>"), "{list}");
    for path in ["/admin/movies/1/plan/", "/admin/screens/77/plan/", "/admin/screens/1/plan/version/?version=9"] {
        root.get(&app, path).await.expect(404);
    }
    root.get(&app, "/admin/screens/2/plan/shows/").await.expect(404);
}

async fn a_text_becomes_a_version(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let reply = send(&app, &mut root, TEXT, "save").await;
    assert_eq!(reply.header("location").as_deref(), Some("/admin/screens/1/plan/shows/"), "{}", reply.text);
    let page = follow(&app, &mut root, reply).await;
    assert!(page.contains("Version 1 of the seat plan is saved, with 8 seats."), "{page}");
    assert_eq!(versions(&app).await, [["1", "8"]]);
    let source = app.sql("SELECT source FROM plans").await.concat().concat();
    assert_eq!(source, TEXT);
    // The same text makes no new version.
    let reply = send(&app, &mut root, TEXT, "save").await;
    let page = follow(&app, &mut root, reply).await;
    assert!(page.contains("Version 1 is this plan already"), "{page}");
    save(&app, &mut root, &TEXT.replace("B | SSPP", "B | SSPPPP")).await;
    assert_eq!(versions(&app).await, [["1", "8"], ["2", "10"]]);
    let history = root.get(&app, "/admin/screens/1/history/").await.expect(200).text;
    for text in ["Seat plan", "version 1, 8 seats", "version 2, 10 seats", "root"] {
        assert!(history.contains(text), "{text}: {history}");
    }
    // An earlier version can be the start of the next one.
    let page = root.get(&app, "/admin/screens/1/plan/?version=1").await.expect(200).text;
    assert!(page.contains("B | SSPP\n</textarea>") && hidden(&page, "_loaded") == "2", "{page}");
    let page = root.get(&app, PLAN).await.expect(200).text;
    assert!(page.contains("B | SSPPPP\n</textarea>") && page.contains("version/?version=1\">"), "{page}");
    // Shows that are added from now on get the current version.
    let show = [("movie_id", "2"), ("screen_id", "1"), ("date_time", "2036-01-01T20:00"), ("total_seats", "99")];
    root.post(&app, "/admin/shows/add/", &show).await.expect(303);
    let seats = app.sql("SELECT total_seats FROM shows WHERE movie_id = 2").await;
    assert_eq!(seats, [["10"]]);
}

async fn faults_are_named_and_marked(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let text = format!("{TEXT}A | SS\nC | x\n");
    let fragment = root.post(&app, "/admin/screens/1/plan/preview/", &[("text", &text)]).await.expect(200).text;
    assert!(fragment.starts_with("<div") && !fragment.contains("<html"), "{fragment}");
    for part in [
        "data-said=\"11 seats, 5 faults\"",
        "data-line=\"7\" data-column=\"5\">Line 7, column 5 (row A)</a>: <bdi>There are two seats A1",
        "data-line=\"8\" data-column=\"5\">Line 8, column 5 (row C)</a>",
        "class=\"seat fault\"",
        "<dt>Seats",
    ] {
        assert!(fragment.replace("<dt><bdi>", "<dt>").contains(part), "{part}: {fragment}");
    }
    // Without scripts, a button does the same.
    let page = send(&app, &mut root, &text, "preview").await.expect(200).text;
    assert!(page.contains("Line 7, column 5 (row A)") && page.contains("C | x\n</textarea>"), "{page}");
    let page = send(&app, &mut root, &text, "save").await.expect(422).text;
    assert!(
        page.contains("The plan was not saved") && page.contains("Line 7: ") && page.contains("C | x\n</textarea>"),
        "{page}"
    );
    assert!(!page.contains("id=\"plan-rows\" open"), "the numbers have nothing to do with it: {page}");
    let lonely = TEXT.replace("A | SSSS", "mark: c = Standard, companion\nA | SSSc");
    let page = send(&app, &mut root, &lonely, "preview").await.expect(200).text;
    assert!(page.contains("1 fault") && page.contains("companion"), "{page}");
    let page = send(&app, &mut root, "name: Screen 1\n", "save").await.expect(422).text;
    assert!(page.contains("The plan was not saved"), "{page}");
    assert!(versions(&app).await.is_empty());
}

async fn templates_and_rows_replace_only_unchanged_texts(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let page = root.get(&app, PLAN).await.expect(200).text;
    let text = page.split_once("<textarea").expect("a text").1.split_once(">\n").expect("a text").1;
    let text = text.split("</textarea>").next().expect("a text").to_owned();
    let page = send_from(&app, &mut root, &page, &text, "template:two-aisles").await.expect(200).text;
    assert!(page.contains("180 seats, no faults") && page.contains("name: Screen 1\n"), "{page}");
    // A changed text is kept until the user agrees.
    let page = send_from(&app, &mut root, &page, TEXT, "template:studio").await.expect(200).text;
    assert!(page.contains("Replace it by the template “Studio, 40 seats”?") && page.contains("B | SSPP\n"), "{page}");
    let page = send_from(&app, &mut root, &page, TEXT, "replace:template:studio").await.expect(200).text;
    assert!(page.contains("40 seats, no faults"), "{page}");
    let rows = |entries: &[(&'static str, &'static str)]| {
        let mut fields = vec![("_do", "replace:generate")];
        fields.extend(entries);
        fields
    };
    let fields = rows(&[("rows", "10"), ("seats", "18"), ("aisles", "4, 14"), ("wheelchairs", "4"), ("skip", "13")]);
    let page = root.post(&app, PLAN, &fields).await.expect(200).text;
    assert!(page.contains("180 seats, no faults") && page.contains("J | wcwc_SSSSSSSSSS_cwcw\n"), "{page}");
    let page = root.post(&app, PLAN, &rows(&[("rows", "many")])).await.expect(422).text;
    assert!(page.contains("&#34;many&#34; is not a whole number") && page.contains("value=\"many\""), "{page}");
    assert!(versions(&app).await.is_empty());
}

async fn a_plan_that_is_sent_twice_is_saved_once(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let page = root.get(&app, PLAN).await.expect(200).text;
    let (mut one, mut two) = (root.clone(), root.clone());
    let (one, two) =
        tokio::join!(send_from(&app, &mut one, &page, TEXT, "save"), send_from(&app, &mut two, &page, TEXT, "save"),);
    assert_eq!([one.status, two.status], [303, 303], "{} {}", one.text, two.text);
    let again = send_from(&app, &mut root, &page, TEXT, "save").await;
    let page = follow(&app, &mut root, again).await;
    assert!(page.contains("The form was sent twice; it was saved once."), "{page}");
    assert_eq!(versions(&app).await.len(), 1);
}

async fn two_people_do_not_overwrite_each_other(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let mut eve = app.staff("eve", &["screens.change"]).await;
    let page = root.get(&app, PLAN).await.expect(200).text;
    save(&app, &mut eve, TEXT).await;
    let other = TEXT.replace("B | SSPP", "B | PPPP");
    let page = send_from(&app, &mut root, &page, &other, "save").await.expect(409).text;
    assert!(page.contains("There is a newer version. Nothing was saved.") && page.contains("eve saved"), "{page}");
    assert!(page.contains("B | PPPP\n</textarea>"), "nothing typed is lost: {page}");
    assert_eq!(versions(&app).await.len(), 1);
    // Now the user knows.
    send_from(&app, &mut root, &page, &other, "save").await.expect(303);
    assert_eq!(versions(&app).await.len(), 2);
}

async fn a_text_outlives_its_session(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let page = root.get(&app, PLAN).await.expect(200).text;
    app.sql("DELETE FROM admin_sessions").await;
    let asked = send_from(&app, &mut root, &page, TEXT, "save").await.expect(403).text;
    assert!(asked.contains("name=\"password\"") && asked.contains("A | SSSS"), "{asked}");
    let preview = root.post(&app, "/admin/screens/1/plan/preview/", &[("text", TEXT)]).await;
    assert_eq!(preview.status, 403, "the script knows by this that the user is logged out");
    // What the login form holds is sent again.
    let mut fields: Vec<(String, String)> = Vec::new();
    for input in asked.split_once("<main").expect("a page").1.split("<input ").skip(1) {
        if let Some(name) = attribute(input, "name") {
            fields.push((name, attribute(input, "value").unwrap_or_default()));
        }
    }
    let entries = [("username", "root"), ("password", PASSWORD)];
    fields.retain(|(name, _)| !entries.iter().any(|(entered, _)| entered == name));
    fields.extend(entries.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let form = Some("application/x-www-form-urlencoded");
    let goes_on = root.send(app.base(), Call::post("/admin/login/").body(form, body)).await.expect(200).text;
    assert!(goes_on.contains("action=\"/admin/screens/1/plan/\"") && goes_on.contains("data-goes-on"), "{goes_on}");
    let text = goes_on.split_once("name=\"text\" value=\"").expect("the text").1.split('"').next().expect("the text");
    send_from(&app, &mut root, &goes_on, &text.replace('\r', ""), "save").await.expect(303);
    assert_eq!(app.sql("SELECT source FROM plans").await, [[TEXT]]);
}

/// Sends the form for importing.
async fn import(app: &App, who: &mut Browser, content: &str, button: &str) -> Reply {
    let path = "/admin/screens/1/plan/import/";
    let page = who.get(app, path).await.expect(200).text;
    let [once, loaded] = ["_once", "_loaded"].map(|name| hidden(&page, name));
    who.post(app, path, &[("_once", &once), ("_loaded", &loaded), ("content", content), ("_do", button)]).await
}

async fn every_format_can_be_imported_and_exported(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let text = format!(
        "description: A room\n{}",
        TEXT.replace("\nA | SSSS", "mark: w = Standard, wheelchair space\nmark: c = Standard, companion\n\nA | wcSS")
    );
    save(&app, &mut root, &text).await;
    let page = root.get(&app, "/admin/screens/1/plan/version/?version=1").await.expect(200).text;
    for part in [
        "Nothing of this plan is lost.",
        "The description is left out.",
        "become part of their categories&#39; names",
        "format=pretix\">",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let mut files = Vec::new();
    for (format, kind, name) in [
        ("text", "text/plain; charset=utf-8", "screen-1-plan-1.txt"),
        ("json", "application/json", "screen-1-plan-1.json"),
        ("pretix", "application/json", "screen-1-plan-1.pretix.json"),
    ] {
        let path = format!("/admin/screens/1/plan/export/?version=1&format={format}");
        let reply = root.get(&app, path).await.expect(200);
        assert_eq!(reply.header("content-type").as_deref(), Some(kind));
        assert_eq!(reply.header("content-disposition"), Some(format!("attachment; filename=\"{name}\"")));
        files.push(reply.text);
    }
    assert_eq!(files[0], text);
    root.get(&app, "/admin/screens/1/plan/export/?version=1&format=pdf").await.expect(404);
    for (file, read_as) in files.iter().zip(["Read as a text.", "Read as JSON of Marquee.", "Read as JSON of pretix."])
    {
        let page = import(&app, &mut root, file, "check").await.expect(200).text;
        assert!(page.contains(read_as) && page.contains("8 seats, no faults"), "{read_as}: {page}");
        assert!(page.contains("Wheelchair spaces"), "{read_as}: {page}");
        // As a text, it can be edited before it is saved.
        let page = import(&app, &mut root, file, "edit").await.expect(200).text;
        assert!(page.contains("The imported plan is in the text.") && page.contains("A | "), "{page}");
    }
    for (content, fault) in [
        ("{", "not JSON"),
        ("{\"name\": \"X\", \"seats\": []}", "categories"),
        ("[1]", "This can't be imported"),
        ("A | x", "Line 1, column 5"),
        ("name: Empty\n", "This can't be imported"),
    ] {
        let page = import(&app, &mut root, content, "save").await.expect(422).text;
        assert!(page.contains(fault), "{content}: {page}");
    }
    assert_eq!(versions(&app).await.len(), 1);
}

async fn an_imported_plan_stays_what_it_is(engine: Engine) {
    let (app, mut root) = start(engine).await;
    save(&app, &mut root, TEXT).await;
    let json = root.get(&app, "/admin/screens/1/plan/export/?version=1&format=json").await.expect(200).text;
    // A place that a text can't say.
    let mut document: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    document["zones"][0]["rows"][0]["seats"][0]["position"]["y"] = serde_json::json!(7.5);
    let reply = import(&app, &mut root, &document.to_string(), "save").await;
    let page = follow(&app, &mut root, reply).await;
    assert!(page.contains("Version 2 of the seat plan is saved"), "{page}");
    assert_eq!(app.sql("SELECT source FROM plans WHERE version = 2").await, [[""]]);
    let page = root.get(&app, PLAN).await.expect(200).text;
    assert!(page.contains("The place in the drawing changes: A1."), "{page}");
    assert!(!page.contains("number for the API"), "saving a text keeps these: {page}");
    let again = root.get(&app, "/admin/screens/1/plan/export/?version=2&format=json").await.expect(200).text;
    assert!(again.contains("7.5"), "{again}");
    // Someone else saves while a checked import is open.
    let page = root.get(&app, "/admin/screens/1/plan/import/").await.expect(200).text;
    save(&app, &mut root, &TEXT.replace("A | SSSS", "A | SSSSS")).await;
    let [once, loaded] = ["_once", "_loaded"].map(|name| hidden(&page, name));
    let fields = [("_once", &*once), ("_loaded", &loaded), ("content", TEXT), ("_do", "save")];
    let page = root.post(&app, "/admin/screens/1/plan/import/", &fields).await.expect(409).text;
    assert!(page.contains("Someone else has saved version 3") && page.contains("B | SSPP"), "{page}");
}

async fn shows_move_only_if_nothing_sold_changes(engine: Engine) {
    let (app, mut root) = start(engine).await;
    save(&app, &mut root, TEXT).await;
    let ann = app.customer("anna").await;
    for day in 1..=4 {
        let begins = format!("2036-01-0{day}T20:00");
        let show = [("movie_id", "2"), ("screen_id", "1"), ("date_time", &*begins), ("total_seats", "1")];
        root.post(&app, "/admin/shows/add/", &show).await.expect(303);
    }
    let ids = app.sql("SELECT id FROM shows WHERE movie_id = 2 ORDER BY date_time").await.concat();
    let number = |place: usize| ids[place].parse::<i64>().expect("an id");
    // B3 (7) changes its category, A1 (1) nothing.
    booking(&ann, number(0), 7).send(&app).await.expect(201);
    hold(&ann, number(1), &[7]).send(&app).await.expect(201);
    booking(&ann, number(2), 1).send(&app).await.expect(201);
    save(&app, &mut root, &TEXT.replace("B | SSPP", "B | SSSSS")).await;
    let page = root.get(&app, "/admin/screens/1/plan/shows/").await.expect(200).text;
    let is_ready = |page: &str, id: &str| page.contains(&format!("name=\"ids\" value=\"{id}\" checked"));
    let ready: Vec<bool> = ids.iter().map(|id| is_ready(&page, id)).collect();
    assert_eq!(ready, [false, false, true, true], "{page}");
    assert_eq!(page.matches("B3 is sold or held and would be in another category.").count(), 2, "{page}");
    // The show without a plan can move, too; the past one is not listed.
    assert!(is_ready(&page, "1") && page.contains("no plan, 50 seats") && !is_ready(&page, "3"), "{page}");
    let plan = hidden(&page, "plan");
    // Between the list and the click, someone buys a seat.
    booking(&ann, number(3), 8).send(&app).await.expect(201);
    let mut fields: Vec<(&str, &str)> = vec![("plan", &plan)];
    fields.extend(ids.iter().map(|id| ("ids", &**id)));
    let reply = root.post(&app, "/admin/screens/1/plan/shows/", &fields).await;
    let page = follow(&app, &mut root, reply).await;
    assert!(page.contains("1 show has version 2 of the plan now."), "{page}");
    assert!(page.contains("B4 is sold or held and would be in another category."), "{page}");
    let has = app.sql(
        "SELECT p.version FROM shows s JOIN plans p ON p.id = s.plan_id WHERE s.movie_id = 2 ORDER BY s.date_time",
    );
    assert_eq!(has.await.concat(), ["1", "1", "2", "1"]);
    let history = root.get(&app, format!("/admin/shows/{}/history/", ids[2])).await.expect(200).text;
    assert!(history.contains("version 1, 8 seats") && history.contains("version 2, 9 seats"), "{history}");
    // The seats on sale are those of the new version.
    booking(&ann, number(2), 9).send(&app).await.expect(201);
    // A list of an earlier version changes nothing.
    let old = [("plan", "1"), ("ids", &*ids[3])];
    save(&app, &mut root, TEXT).await;
    let reply = root.post(&app, "/admin/screens/1/plan/shows/", &[("plan", &*plan), old[1]]).await;
    let page = follow(&app, &mut root, reply).await;
    assert!(page.contains("There is a newer version of the plan. No show was changed."), "{page}");
}

async fn only_those_who_may_change_plans(engine: Engine) {
    let (app, mut root) = start(engine).await;
    save(&app, &mut root, TEXT).await;
    let mut viewer = app.staff("viewer", &["screens.view"]).await;
    let page = viewer.get(&app, PLAN).await.expect(200).text;
    assert!(page.contains(" readonly>") && !page.contains("value=\"save\"") && !page.contains("value=\"template:"));
    viewer.get(&app, "/admin/screens/1/plan/version/?version=1").await.expect(200);
    viewer.get(&app, "/admin/screens/1/plan/export/?version=1&format=json").await.expect(200);
    viewer.get(&app, "/admin/screens/1/plan/import/").await.expect(403);
    viewer.get(&app, "/admin/screens/1/plan/shows/").await.expect(403);
    for path in
        [PLAN, "/admin/screens/1/plan/preview/", "/admin/screens/1/plan/import/", "/admin/screens/1/plan/shows/"]
    {
        viewer.post(&app, path, &[("text", TEXT), ("_do", "save")]).await.expect(403);
    }
    let mut nobody = app.staff("nobody", &["movies.view"]).await;
    nobody.get(&app, PLAN).await.expect(403);
    // Moving shows needs the permission to change shows, too.
    let mut planner = app.staff("planner", &["screens.change", "shows.view"]).await;
    let page = planner.get(&app, "/admin/screens/1/plan/shows/").await.expect(200).text;
    assert!(!page.contains("Give these shows the new plan"), "{page}");
    let plan = app.sql("SELECT MAX(id) FROM plans").await.concat().concat();
    let fields = [("plan", &*plan), ("ids", "1")];
    planner.post(&app, "/admin/screens/1/plan/shows/", &fields).await.expect(403);
    // Other sites can't send these forms.
    let form = Some("application/x-www-form-urlencoded");
    for path in
        [PLAN, "/admin/screens/1/plan/preview/", "/admin/screens/1/plan/import/", "/admin/screens/1/plan/shows/"]
    {
        let call = Call::post(path).body(form, "text=x&_do=save");
        root.clone().send(app.base(), call).await.expect(403);
    }
    let mut guest = Browser::default();
    guest.get(&app, PLAN).await.expect(302);
    assert_eq!(versions(&app).await.len(), 1);
}

async fn what_people_type_is_only_text(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let hostile = "<script>alert(1)</script>";
    app.sql(&format!("UPDATE screens SET name = '{hostile}' WHERE id = 1")).await;
    let text = format!(
        "name: {hostile}\ndescription: </desc>{hostile}\ncategory: S = {hostile}\n\nscreen: {hostile}\nzone: {hostile}\n\
         {hostile} | SS | \"{hostile}\" \"\" onload=\"x\n</textarea>{hostile}\n"
    );
    let good = format!("name: {hostile}\ncategory: S = {hostile}\n\nscreen: {hostile}\n<b>A | SS\n");
    let mut pages = vec![
        root.get(&app, PLAN).await.expect(200).text,
        send(&app, &mut root, &text, "preview").await.expect(200).text,
        root.post(&app, "/admin/screens/1/plan/preview/", &[("text", &text)]).await.expect(200).text,
        import(&app, &mut root, &text, "check").await.expect(422).text,
        import(&app, &mut root, &good, "check").await.expect(200).text,
        import(&app, &mut root, &format!("{{\"{hostile}\": 1}}"), "check").await.expect(422).text,
    ];
    save(&app, &mut root, &good).await;
    pages.push(root.get(&app, "/admin/screens/1/plan/version/?version=1").await.expect(200).text);
    pages.push(root.get(&app, "/admin/screens/1/plan/shows/").await.expect(200).text);
    for page in pages {
        assert!(!page.contains("<script>"), "{page}");
        assert!(!page.contains(" onload=\"x"), "{page}");
    }
    let reply = root.get(&app, "/admin/screens/1/plan/export/?version=1&format=json").await.expect(200);
    assert!(reply.header("content-security-policy").is_some(), "files are no pages");
}

async fn texts_have_limits(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let two_megabytes = "A | SSSS\n".repeat(230_000);
    for path in [PLAN, "/admin/screens/1/plan/preview/"] {
        root.post(&app, path, &[("text", &two_megabytes), ("_do", "save")]).await.expect(413);
    }
    root.post(&app, "/admin/screens/1/plan/import/", &[("content", &two_megabytes)]).await.expect(413);
    // More seats than a plan can have, as much text as a form can hold, and a long line.
    for text in ["A | SSSS\n".repeat(60_000), "x".repeat(900_000), format!("A | {}\n", "S".repeat(800_000))] {
        let began = Instant::now();
        let page = send(&app, &mut root, &text, "save").await.expect(422);
        assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
        assert!(page.text.contains("The plan was not saved"), "{}", &page.text[..3_000]);
    }
    assert!(versions(&app).await.is_empty());
}
