//! The rules that choose the price cards of shows, in the panel.

use serde_json::json;

use super::prices::{fields, fill, follow, one, send, start};
use crate::support::{App, Browser, Engine, Reply};

tests! {
    admin_price_rules: [
        rules_show_their_outcome_before_they_are_saved,
        the_first_rule_that_applies_decides,
        rules_are_moved_and_removed,
        wrong_rules_are_named,
        a_changed_rule_shows_its_outcome_again,
        two_people_do_not_overwrite_rules,
        shows_that_someone_chose_a_card_for_stay,
        a_show_that_moves_follows_the_rules,
        new_shows_follow_the_rules,
        a_card_that_lacks_a_category_is_not_applied,
        a_card_of_a_rule_is_not_retired,
        rules_need_permission,
    ]
}

const RULES: &str = "/admin/price_rules/all/";

/// Opens the rules, presses "Add a rule" for each of these, and enters it. Returns the page with the outcome.
async fn enter(app: &App, who: &mut Browser, rules: &[&[(&str, &str)]]) -> String {
    let mut page = who.get(app, RULES).await.expect(200).text;
    let first = fields(&page).iter().filter(|(name, _)| name.ends_with("-id")).count();
    for (place, rule) in (first..).zip(rules) {
        page = send(app, who, RULES, fields(&page), &[("_do", "add")]).await.expect(200).text;
        let names: Vec<String> = rule.iter().map(|(name, _)| format!("rule-{place}-{name}")).collect();
        let entered: Vec<(&str, &str)> =
            names.iter().zip(rule.iter()).map(|(name, (_, value))| (name.as_str(), *value)).collect();
        let entered = [&entered[..], &[("_do", "outcome")]].concat();
        page = send(app, who, RULES, fields(&page), &entered).await.expect(200).text;
    }
    page
}

async fn press(app: &App, who: &mut Browser, page: &str, button: &str) -> Reply {
    send(app, who, RULES, fields(page), &[("_do", button)]).await
}

/// Saves rules after their outcome was shown.
async fn save(app: &App, who: &mut Browser, rules: &[&[(&str, &str)]]) -> String {
    let page = enter(app, who, rules).await;
    let reply = press(app, who, &page, "save").await;
    follow(app, who, reply).await
}

/// Adds a card with the same prices as the first one.
async fn add_card(app: &App, name: &str) {
    let prices = json!([{"category": "Standard", "type": "adult", "price": "9.00"}]);
    app.load(json!({"price_cards": [{"name": name, "prices": prices}]}));
}

/// The cards of the shows, by their names.
async fn cards(app: &App) -> Vec<String> {
    app.sql(
        "SELECT COALESCE(c.name, '-') FROM shows s LEFT JOIN card_versions v ON v.id = s.card_version_id
         LEFT JOIN price_cards c ON c.id = v.card_id ORDER BY s.id",
    )
    .await
    .concat()
}

async fn rules_show_their_outcome_before_they_are_saved(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let menu = root.get(&app, "/admin/").await.expect(200).text;
    assert!(menu.contains("<a href=\"/admin/price_rules/all/\""), "{menu}");
    let page = enter(&app, &mut root, &[&[("card", "1"), ("weekdays", "5")]]).await;
    // Show 1 is on Friday, 1 June 2035; show 2 on Saturday; show 3 is over.
    assert!(page.contains("Not saved yet: 1 coming show gets another price card."), "{page}");
    for text in ["Fri 2035-06-01 18:30", "No prices", "The Long Take", "Save and apply"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains("Sat 2035-06-02"), "{page}");
    assert_eq!(one(&app, "SELECT COUNT(*) FROM price_rules").await, "0");
    assert_eq!(cards(&app).await, ["-", "-", "-"]);
    let before = app.sql("SELECT version, seat_version FROM shows ORDER BY id").await;
    let reply = press(&app, &mut root, &page, "save").await;
    let page = follow(&app, &mut root, reply).await;
    assert!(page.contains("The rules are saved. 1 coming show has another price card now."), "{page}");
    assert_eq!(cards(&app).await, ["Weekday", "-", "-"]);
    let after = app.sql("SELECT version, seat_version FROM shows ORDER BY id").await;
    assert!(before[0][0] != after[0][0] && before[0][1] != after[0][1] && before[1..] == after[1..], "{after:?}");
    let stored = app.sql("SELECT place, card_id, weekdays FROM price_rules").await;
    assert_eq!(stored, [["1", "1", "5"]]);
    let history = root.get(&app, "/admin/price_rules/1/history/").await.expect(200).text;
    assert!(history.contains("1. Fri: Weekday"), "{history}");
    let history = root.get(&app, "/admin/shows/1/history/").await.expect(200).text;
    assert!(history.contains("Prices by the rules") && history.contains("Weekday"), "{history}");
    let form = root.get(&app, "/admin/shows/1/change/").await.expect(200).text;
    assert!(form.contains("By the rules (Weekday)"), "{form}");
}

async fn the_first_rule_that_applies_decides(engine: Engine) {
    let (app, mut root) = start(engine).await;
    add_card(&app, "Weekend").await;
    add_card(&app, "Matinee").await;
    app.load(json!({"shows": [
        {"movie": 1, "screen": 1, "date_time": "2035-06-04T12:00:00Z", "total_seats": 5},
        {"movie": 1, "screen": 1, "date_time": "2035-06-03T00:30:00Z", "total_seats": 5, "format": "3D"},
        {"movie": 1, "screen": 1, "date_time": "2035-06-05T20:00:00Z", "total_seats": 5, "format": "3D"},
        {"movie": 1, "screen": 1, "date_time": "2035-12-05T20:00:00Z", "total_seats": 5},
    ]}));
    let page = save(
        &app,
        &mut root,
        &[
            &[("card", "3"), ("until_time", "17:00")],
            &[("card", "2"), ("weekdays", "6"), ("weekdays", "7")],
            &[("card", "1"), ("from_date", "2035-06-01"), ("until_date", "2035-06-30")],
        ],
    )
    .await;
    assert!(page.contains("6 coming shows have another price card now") || page.contains("5 coming shows"), "{page}");
    // Half past midnight on Sunday is Saturday night, and no matinee.
    assert_eq!(cards(&app).await, ["Weekday", "Weekend", "-", "Matinee", "Weekend", "Weekday", "-"]);
    let page = enter(&app, &mut root, &[&[("card", "2"), ("format", "3D")]]).await;
    assert!(page.contains("Not saved yet: 0 coming shows get another price card."), "{page}");
    let page = press(&app, &mut root, &page, "up:3").await.expect(200).text;
    let page = press(&app, &mut root, &page, "up:2").await.expect(200).text;
    let page = press(&app, &mut root, &page, "up:1").await.expect(200).text;
    assert!(!page.contains("Save and apply"), "{page}");
    let page = press(&app, &mut root, &page, "outcome").await.expect(200).text;
    assert!(page.contains("1 coming show gets another price card."), "{page}");
    press(&app, &mut root, &page, "save").await.expect(303);
    assert_eq!(cards(&app).await, ["Weekday", "Weekend", "-", "Matinee", "Weekend", "Weekend", "-"]);
}

async fn rules_are_moved_and_removed(engine: Engine) {
    let (app, mut root) = start(engine).await;
    add_card(&app, "Weekend").await;
    save(&app, &mut root, &[&[("card", "1")], &[("card", "2"), ("weekdays", "6")]]).await;
    assert_eq!(cards(&app).await, ["Weekday", "Weekday", "-"]);
    let page = root.get(&app, RULES).await.expect(200).text;
    let page = press(&app, &mut root, &page, "down:0").await.expect(200).text;
    let page = press(&app, &mut root, &page, "outcome").await.expect(200).text;
    assert!(page.contains("Sat 2035-06-02 18:30") && page.contains("1 coming show gets"), "{page}");
    press(&app, &mut root, &page, "save").await.expect(303);
    assert_eq!(app.sql("SELECT id FROM price_rules ORDER BY place").await, [["2"], ["1"]]);
    assert_eq!(cards(&app).await, ["Weekday", "Weekend", "-"]);
    let page = root.get(&app, RULES).await.expect(200).text;
    let page = press(&app, &mut root, &page, "remove:1").await.expect(200).text;
    let page = press(&app, &mut root, &page, "outcome").await.expect(200).text;
    press(&app, &mut root, &page, "save").await.expect(303);
    assert_eq!(cards(&app).await, ["-", "Weekend", "-"]);
    let log = app.sql("SELECT action FROM admin_log WHERE model = 'price_rules' AND object_id = 1 ORDER BY id").await;
    assert_eq!(log.concat(), ["add", "change", "delete"]);
}

async fn wrong_rules_are_named(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let page = root.get(&app, RULES).await.expect(200).text;
    let page = press(&app, &mut root, &page, "add").await.expect(200).text;
    for (entered, text, at) in [
        (vec![], "Rule 1: Choose a price card.", "card"),
        (vec![("card", "77")], "Rule 1: Choose a price card.", "card"),
        (vec![("card", "1"), ("from_time", "25:00")], "Enter a time, such as 17:00.", "from_time"),
        (vec![("card", "1"), ("from_time", "20:00"), ("until_time", "17:00")], "Enter a time after", "until_time"),
        (vec![("card", "1"), ("from_date", "soon")], "Enter a date as year-month-day", "from_date"),
        (
            vec![("card", "1"), ("from_date", "2035-02-02"), ("until_date", "2035-02-01")],
            "The last day can",
            "until_date",
        ),
        (vec![("card", "1"), ("format", "5D")], "Choose one of the formats.", "format"),
    ] {
        let names: Vec<(String, &str)> =
            entered.iter().map(|(name, value)| (format!("rule-0-{name}"), *value)).collect();
        for button in ["outcome", "save"] {
            let entered: Vec<(&str, &str)> = names.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            let entered = [&entered[..], &[("_do", button)]].concat();
            let page = send(&app, &mut root, RULES, fields(&page), &entered).await.expect(422).text;
            assert!(page.contains(text) && page.contains(&format!("<a href=\"#rule-0-{at}\">")), "{text}: {page}");
        }
    }
    assert_eq!(one(&app, "SELECT COUNT(*) FROM price_rules").await, "0");
}

/// A rule that is changed after its outcome was shown is not saved before the new outcome was.
async fn a_changed_rule_shows_its_outcome_again(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let page = enter(&app, &mut root, &[&[("card", "1"), ("weekdays", "5")]]).await;
    let changed = [("rule-0-weekdays", "6"), ("_do", "save")];
    let page = send(&app, &mut root, RULES, fields(&page), &changed).await.expect(200).text;
    assert!(page.contains("Sat 2035-06-02 18:30") && page.contains("Save and apply"), "{page}");
    assert_eq!(one(&app, "SELECT COUNT(*) FROM price_rules").await, "0");
    press(&app, &mut root, &page, "save").await.expect(303);
    assert_eq!(cards(&app).await, ["-", "Weekday", "-"]);
}

async fn two_people_do_not_overwrite_rules(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let mut other = app.superuser("other").await;
    let mine = enter(&app, &mut root, &[&[("card", "1"), ("weekdays", "5")]]).await;
    save(&app, &mut other, &[&[("card", "1"), ("weekdays", "6")]]).await;
    let page = press(&app, &mut root, &mine, "save").await.expect(409).text;
    assert!(page.contains("Someone else has changed the rules. Nothing was saved."), "{page}");
    assert_eq!(cards(&app).await, ["-", "Weekday", "-"]);
    assert_eq!(app.sql("SELECT weekdays FROM price_rules").await, [["6"]]);
    let page = press(&app, &mut root, &page, "outcome").await.expect(200).text;
    press(&app, &mut root, &page, "save").await.expect(303);
    assert_eq!(app.sql("SELECT weekdays FROM price_rules").await, [["5"]]);
    assert_eq!(cards(&app).await, ["Weekday", "-", "-"]);
}

async fn shows_that_someone_chose_a_card_for_stay(engine: Engine) {
    let (app, mut root) = start(engine).await;
    add_card(&app, "Weekend").await;
    fill(&app, &mut root, "/admin/shows/1/change/", &[("prices", "2")]).await.expect(303);
    fill(&app, &mut root, "/admin/shows/2/change/", &[("prices", "none")]).await.expect(303);
    let page = enter(&app, &mut root, &[&[("card", "1")]]).await;
    assert!(page.contains("0 coming shows get another price card."), "{page}");
    press(&app, &mut root, &page, "save").await.expect(303);
    assert_eq!(cards(&app).await, ["Weekend", "-", "-"]);
    // Back to the rules.
    fill(&app, &mut root, "/admin/shows/1/change/", &[("prices", "")]).await.expect(303);
    assert_eq!(cards(&app).await, ["Weekday", "-", "-"]);
}

async fn a_show_that_moves_follows_the_rules(engine: Engine) {
    let (app, mut root) = start(engine).await;
    add_card(&app, "Weekend").await;
    save(&app, &mut root, &[&[("card", "2"), ("format", "3D")], &[("card", "1"), ("weekdays", "5")]]).await;
    assert_eq!(cards(&app).await, ["Weekday", "-", "-"]);
    let path = "/admin/shows/1/change/";
    fill(&app, &mut root, path, &[("date_time", "2035-06-04T18:30")]).await.expect(303);
    assert_eq!(cards(&app).await, ["-", "-", "-"]);
    fill(&app, &mut root, path, &[("format", "3D")]).await.expect(303);
    assert_eq!(cards(&app).await, ["Weekend", "-", "-"]);
    // By the timetable.
    fill(&app, &mut root, path, &[("format", "")]).await.expect(303);
    let version = one(&app, "SELECT version FROM shows WHERE id = 1").await;
    let moved = [("show", "1"), ("version", &*version), ("begins", "2035-06-08T18:30:00Z"), ("screen", "1")];
    root.post(&app, "/admin/timetable/", &moved).await.expect(303);
    assert_eq!(cards(&app).await, ["Weekday", "-", "-"]);
    // A show that has begun keeps its card, whatever the rules say now.
    app.sql("UPDATE shows SET date_time = 1000000 WHERE id = 1").await;
    fill(&app, &mut root, path, &[("order_limit", "3")]).await.expect(303);
    assert_eq!(cards(&app).await, ["Weekday", "-", "-"]);
}

async fn new_shows_follow_the_rules(engine: Engine) {
    let (app, mut root) = start(engine).await;
    save(&app, &mut root, &[&[("card", "1"), ("weekdays", "5")]]).await;
    let new = [("movie_id", "2"), ("screen_id", "1"), ("date_time", "2035-06-08T12:00"), ("total_seats", "9")];
    fill(&app, &mut root, "/admin/shows/add/", &new).await.expect(303);
    let new = [("date_time", "2035-06-09T12:00"), new[0], new[1], new[3]];
    fill(&app, &mut root, "/admin/shows/add/", &new).await.expect(303);
    app.load(json!({"shows": [
        {"movie": 2, "screen": 2, "date_time": "2035-06-08T12:00:00Z", "total_seats": 5},
        {"movie": 2, "screen": 2, "date_time": "2035-06-15T12:00:00Z", "total_seats": 5, "price_card": ""},
    ]}));
    assert_eq!(cards(&app).await[3..], ["Weekday", "-", "Weekday", "-"]);
    let copy = [("ids", "1"), ("first", "2035-07-06"), ("times", "2"), ("every", "day"), ("collisions", "list")];
    root.post(&app, "/admin/shows/actions/copy/", &copy).await.expect(303);
    assert_eq!(cards(&app).await[7..], ["Weekday", "-"]);
}

async fn a_card_that_lacks_a_category_is_not_applied(engine: Engine) {
    let (app, mut root) = start(engine).await;
    app.load(json!({
        "screens": [{"name": "Sofas", "plan": "name: Sofas\ncategory: S = Sofa\n\nA | SSSS\n"}],
        "shows": [{"movie": 1, "screen": "Sofas", "date_time": "2035-06-01T12:00:00Z"}],
    }));
    let page = enter(&app, &mut root, &[&[("card", "1")]]).await;
    assert!(page.contains("2 coming shows get another price card."), "{page}");
    assert!(page.contains("The price card “Weekday” has no price for “Sofa”"), "{page}");
    let reply = press(&app, &mut root, &page, "save").await;
    let page = follow(&app, &mut root, reply).await;
    assert!(page.contains("1 show keeps the prices from before"), "{page}");
    assert_eq!(cards(&app).await, ["Weekday", "Weekday", "-", "-"]);
    // A new show there has no prices, and its form says so.
    let new = [("movie_id", "2"), ("screen_id", "3"), ("date_time", "2035-06-02T12:00")];
    let page = fill(&app, &mut root, "/admin/shows/add/", &new).await.expect(409).text;
    assert!(page.contains("“Sofa”") && page.contains("Until then the show has no prices."), "{page}");
    let new = [&new[..], &[("_anyway", "1")]].concat();
    fill(&app, &mut root, "/admin/shows/add/", &new).await.expect(303);
    assert_eq!(cards(&app).await[4], "-");
}

async fn a_card_of_a_rule_is_not_retired(engine: Engine) {
    let (app, mut root) = start(engine).await;
    save(&app, &mut root, &[&[("card", "1")]]).await;
    let page = fill(&app, &mut root, "/admin/price_cards/1/change/", &[("is_retired", "1")]).await.expect(422).text;
    assert!(page.contains("A price rule chooses this card. Change the rule first."), "{page}");
}

async fn rules_need_permission(engine: Engine) {
    let (app, mut root) = start(engine).await;
    save(&app, &mut root, &[&[("card", "1"), ("weekdays", "5")]]).await;
    let mut viewer = app.staff("viewer", &["price_rules.view"]).await;
    let page = viewer.get(&app, RULES).await.expect(200).text;
    assert!(
        page.contains("disabled")
            && !page.contains("Add a rule")
            && !page.contains("Show the outcome</button>\n<button"),
        "{page}"
    );
    viewer.post(&app, RULES, &[("_do", "outcome")]).await.expect(403);
    root.get(&app, "/admin/movies/all/").await.expect(404);
}
