//! Ticket types, price cards and a show's card in the panel.

use serde_json::json;

use super::forms::attribute;
use crate::support::{App, Browser, Engine, Options, Reply};

tests! {
    admin_prices: [
        types_have_codes_that_never_change,
        types_are_checked,
        a_type_on_a_card_is_retired_and_not_deleted,
        a_changed_type_makes_new_versions,
        a_card_gets_prices,
        wrong_prices_are_named,
        a_card_must_price_every_category,
        companions_are_free,
        the_default_ticket_has_no_minimum,
        a_new_version_moves_the_shows_that_have_not_begun,
        a_version_stays_as_it_was,
        two_people_do_not_overwrite_prices,
        prices_that_are_saved_twice_make_one_version,
        a_card_is_copied,
        a_card_with_prices_is_retired_and_not_deleted,
        a_show_gets_a_card,
        a_card_without_a_category_is_refused,
        copies_have_the_card_of_their_source,
        prices_need_permission,
        other_currencies_have_other_decimals,
    ]
}

/// Three types, and a card for seats of the category Standard.
fn basics() -> serde_json::Value {
    json!({
        "ticket_types": [
            {"code": "adult", "name": "Adult", "tax_rate": "7"},
            {"code": "child", "name": "Child", "tax_rate": "7", "max_per_order": 6},
            {"code": "companion", "name": "Companion", "is_companion": true},
        ],
        "price_cards": [{"name": "Weekday", "prices": [
            {"category": "Standard", "type": "adult", "price": "12.50"},
            {"category": "Standard", "type": "child", "price": "8.00", "reported": "7.50"},
        ]}],
    })
}

/// Starts a cinema with the contract's shows and [`basics`].
pub async fn start(engine: Engine) -> (App, Browser) {
    let app = App::start(engine).await;
    app.world().await;
    app.load(basics());
    let root = app.superuser("root").await;
    (app, root)
}

/// Returns the only cell of a query's only row.
pub async fn one(app: &App, sql: &str) -> String {
    let rows = app.sql(sql).await;
    assert!(rows.len() == 1 && rows[0].len() == 1, "{sql}: {rows:?}");
    rows[0][0].clone()
}

/// Returns the values of a page's fields by their names, without buttons and empty check boxes.
pub fn fields(page: &str) -> Vec<(String, String)> {
    let (_, form) = page.split_once("<form class=\"object\"").expect("a form");
    let (form, _) = form.split_once("</form>").expect("the end of the form");
    let mut found = Vec::new();
    for element in form.split('<') {
        let Some(name) = attribute(element, "name").filter(|name| name != "csrf") else { continue };
        if element.starts_with("input ") {
            let is_off = element.contains("type=\"checkbox\"") && !element.contains(" checked");
            found.extend((!is_off).then(|| (name, attribute(element, "value").unwrap_or_default())));
        } else if element.starts_with("select ") {
            let (_, options) = form.split_once(element).expect("it is there");
            let options = options.split("</select>").next().unwrap_or_default();
            let chosen = options.split("<option ").find(|option| option.contains(" selected"));
            found.push((name, chosen.and_then(|option| attribute(option, "value")).unwrap_or_default()));
        }
    }
    found
}

/// Opens a form, enters these values and sends it. A value of "off" leaves a check box out.
pub async fn fill(app: &App, who: &mut Browser, path: &str, entered: &[(&str, &str)]) -> Reply {
    let page = who.get(app, path).await.expect(200).text;
    send(app, who, path, fields(&page), entered).await
}

pub async fn send(
    app: &App,
    who: &mut Browser,
    path: &str,
    fields: Vec<(String, String)>,
    entered: &[(&str, &str)],
) -> Reply {
    let kept = fields.iter().filter(|(name, _)| entered.iter().all(|(other, _)| other != name));
    let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
    let entered = entered.iter().copied().filter(|(_, value)| *value != "off");
    let all: Vec<(&str, &str)> = kept.chain(entered).collect();
    who.post(app, path, &all).await
}

pub async fn follow(app: &App, who: &mut Browser, reply: Reply) -> String {
    assert_eq!(reply.status, 303, "{}", reply.text);
    let to = reply.header("location").expect("a redirect");
    who.get(app, to).await.expect(200).text
}

const PRICES: &str = "/admin/price_cards/1/prices/";

/// Saves prices of the first card.
async fn save(app: &App, who: &mut Browser, entered: &[(&str, &str)]) -> Reply {
    fill(app, who, PRICES, &[entered, &[("_do", "save")]].concat()).await
}

async fn amounts(app: &App, number: i64) -> Vec<Vec<String>> {
    app.sql(&format!(
        "SELECT p.category, p.type_code, p.amount, p.reported, p.tax FROM prices p JOIN card_versions v
         ON v.id = p.version_id WHERE v.card_id = 1 AND v.number = {number} ORDER BY p.category, p.type_code"
    ))
    .await
}

async fn types_have_codes_that_never_change(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let entered = [("name", "Senior (65+)"), ("tax_rate", "5,5"), ("proof", "From 65 years")];
    fill(&app, &mut root, "/admin/ticket_types/add/", &entered).await.expect(303);
    let stored = app.sql("SELECT code, place, tax_rate, sold_online, proof FROM ticket_types WHERE id = 4").await;
    assert_eq!(stored, [["senior_65", "4", "550", "1", "From 65 years"]]);
    let path = "/admin/ticket_types/4/change/";
    fill(&app, &mut root, path, &[("name", "Over 65"), ("code", "other"), ("sold_online", "off")]).await.expect(303);
    let stored = app.sql("SELECT code, name, sold_online, tax_rate FROM ticket_types WHERE id = 4").await;
    assert_eq!(stored, [["senior_65", "Over 65", "0", "550"]]);
    let page = root.get(&app, path).await.expect(200).text;
    assert!(page.contains("value=\"5.5\"") && page.contains("It is on no price card."), "{page}");
    let history = root.get(&app, "/admin/ticket_types/4/history/").await.expect(200).text;
    assert!(history.contains("Over 65") && history.contains("5.5%"), "{history}");
    root.post(&app, "/admin/ticket_types/4/delete/", &[("_version", "2"), ("confirm", "1")]).await.expect(303);
    assert_eq!(one(&app, "SELECT COUNT(*) FROM ticket_types").await, "3");
}

async fn types_are_checked(engine: Engine) {
    let (app, mut root) = start(engine).await;
    for (entered, at, text) in [
        (vec![("name", "成人")], "code", "Enter a code of 1 to 40 small letters"),
        (vec![("name", "X"), ("code", "Not This")], "code", "Enter a code of 1 to 40 small letters"),
        (vec![("name", "Adult")], "code", "There is already a ticket type with the code adult."),
        (vec![("name", "X"), ("tax_rate", "101")], "tax_rate", "Enter a percentage from 0 to 100"),
        (vec![("name", "X"), ("tax_rate", "")], "tax_rate", "This field is required."),
        (vec![("name", "X"), ("min_per_order", "4"), ("max_per_order", "3")], "max_per_order", "can&#39;t be below"),
        (vec![("name", "")], "name", "This field is required."),
    ] {
        let page = fill(&app, &mut root, "/admin/ticket_types/add/", &entered).await.expect(422).text;
        let faults = page.split_once(&format!("id=\"{at}-faults\"")).map(|(_, rest)| rest.split("</ul>").next());
        let found = faults.flatten().unwrap_or_default();
        assert!(found.contains(text), "{entered:?}: {found}");
    }
    assert_eq!(one(&app, "SELECT COUNT(*) FROM ticket_types").await, "3");
}

async fn a_type_on_a_card_is_retired_and_not_deleted(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let page = root.get(&app, "/admin/ticket_types/2/delete/").await.expect(200).text;
    assert!(page.contains("It is or was on a price card."), "{page}");
    root.post(&app, "/admin/ticket_types/2/delete/", &[("_version", "1"), ("confirm", "1")]).await;
    assert_eq!(one(&app, "SELECT COUNT(*) FROM ticket_types").await, "3");
    fill(&app, &mut root, "/admin/ticket_types/2/change/", &[("is_retired", "1")]).await.expect(303);
    assert_eq!(amounts(&app, 2).await, [["Standard", "adult", "1250", "1250", "82"]]);
    let page = root.get(&app, PRICES).await.expect(200).text;
    assert!(!page.contains("price-child-0") && page.contains("price-adult-0"), "{page}");
    // It was on a version, which must stay.
    let page = root.get(&app, "/admin/ticket_types/2/delete/").await.expect(200).text;
    assert!(page.contains("It is or was on a price card."), "{page}");
    // Without the last type, nobody could buy a ticket.
    let page = fill(&app, &mut root, "/admin/ticket_types/1/change/", &[("is_retired", "1")]).await.expect(422).text;
    assert!(page.contains("On the price card “Weekday”: “Standard” has no price."), "{page}");
    assert_eq!(one(&app, "SELECT COUNT(*) FROM card_versions").await, "2");
}

async fn a_changed_type_makes_new_versions(engine: Engine) {
    let (app, mut root) = start(engine).await;
    fill(&app, &mut root, "/admin/shows/1/change/", &[("prices", "1")]).await.expect(303);
    let page = root.get(&app, "/admin/ticket_types/1/change/").await.expect(200).text;
    assert!(page.contains("Weekday; 1 coming show"), "{page}");
    let before = app.sql("SELECT version, seat_version FROM shows WHERE id = 1").await;
    let version =
        |rows: &[Vec<String>]| rows[0].iter().map(|cell| cell.parse().expect("a number")).collect::<Vec<i64>>();
    fill(&app, &mut root, "/admin/ticket_types/1/change/", &[("name", "Grown-up"), ("tax_rate", "19")])
        .await
        .expect(303);
    assert_eq!(
        app.sql("SELECT version_id, name, tax_rate FROM card_types WHERE code = 'adult' ORDER BY version_id").await,
        [["1", "Adult", "700"], ["2", "Grown-up", "1900"]]
    );
    assert_eq!(amounts(&app, 1).await[0], ["Standard", "adult", "1250", "1250", "82"], "sold tickets keep their tax");
    assert_eq!(amounts(&app, 2).await[0], ["Standard", "adult", "1250", "1250", "200"]);
    assert_eq!(amounts(&app, 2).await[1], ["Standard", "child", "800", "750", "52"]);
    let after = app.sql("SELECT version, seat_version, card_version_id FROM shows WHERE id = 1").await;
    assert_eq!(after[0][2], "2");
    assert!(
        version(&after)[0] > version(&before)[0] && version(&after)[1] > version(&before)[1],
        "{before:?} {after:?}"
    );
    let history = root.get(&app, "/admin/price_cards/1/history/").await.expect(200).text;
    assert!(history.contains("version 2, because the ticket type “Grown-up” was changed"), "{history}");
    // A type that no card has, and a change of nothing, make no version.
    fill(&app, &mut root, "/admin/ticket_types/3/change/", &[("name", "Helper")]).await.expect(303);
    fill(&app, &mut root, "/admin/ticket_types/1/change/", &[]).await.expect(303);
    assert_eq!(one(&app, "SELECT COUNT(*) FROM card_versions").await, "2");
}

async fn a_card_gets_prices(engine: Engine) {
    let (app, mut root) = start(engine).await;
    fill(&app, &mut root, "/admin/price_cards/add/", &[("name", "Weekend")]).await.expect(303);
    let list = root.get(&app, "/admin/price_cards/").await.expect(200).text;
    assert!(list.contains("<a href=\"/admin/price_cards/2/prices/\"><bdi>No prices yet</bdi></a>"), "{list}");
    let path = "/admin/price_cards/2/prices/";
    let page = root.get(&app, path).await.expect(200).text;
    assert!(
        page.contains("This card has no prices yet.") && page.contains("No coming show has this card yet."),
        "{page}"
    );
    let entered = [("price-adult-0", " 13,5 "), ("price-companion-0", "0"), ("reported-adult-0", "12")];
    // The taxes of the typed prices.
    let page = fill(&app, &mut root, path, &[&entered[..], &[("_do", "check")]].concat()).await.expect(200).text;
    assert!(page.contains("incl. 0.88 tax") && page.contains("value=\"13,5\""), "{page}");
    assert_eq!(one(&app, "SELECT COUNT(*) FROM card_versions").await, "1");
    let reply = fill(&app, &mut root, path, &[&entered[..], &[("_do", "save")]].concat()).await;
    let page = follow(&app, &mut root, reply).await;
    assert!(page.contains("Version 1 of the prices is saved. 0 coming shows have it now."), "{page}");
    assert!(page.contains("value=\"13.50\"") && page.contains("value=\"12.00\""), "{page}");
    let stored = app
        .sql("SELECT category, type_code, currency, amount, reported, tax_rate, tax FROM prices WHERE version_id = 2 ORDER BY type_code")
        .await;
    assert_eq!(
        stored,
        [
            ["Standard", "adult", "EUR", "1350", "1200", "700", "88"],
            ["Standard", "companion", "EUR", "0", "0", "0", "0"]
        ]
    );
    let history = root.get(&app, "/admin/price_cards/2/history/").await.expect(200).text;
    for text in ["version 1", "Adult, Standard", "13.50 (reported 12.00)", "root"] {
        assert!(history.contains(text), "{text}: {history}");
    }
    let reply = fill(&app, &mut root, path, &[("_do", "save")]).await;
    let page = follow(&app, &mut root, reply).await;
    assert!(page.contains("The card has these prices already, so nothing was saved."), "{page}");
    assert_eq!(one(&app, "SELECT COUNT(*) FROM card_versions").await, "2");
    for path in
        ["/admin/movies/1/prices/", "/admin/price_cards/9/prices/", "/admin/price_cards/1/prices/version/?version=7"]
    {
        root.get(&app, path).await.expect(404);
    }
}

async fn wrong_prices_are_named(engine: Engine) {
    let (app, mut root) = start(engine).await;
    for (entered, text, at) in [
        (("price-adult-0", "12.505"), "“12.505” is no price. Enter a number with at most 2 decimals", "price-adult-0"),
        (("price-adult-0", "-1"), "“-1” is no price", "price-adult-0"),
        (("price-child-0", "free"), "Child, Standard: “free” is no price", "price-child-0"),
        (("price-child-0", "1000001"), "of at most 1000000.00", "price-child-0"),
        (("reported-child-0", "x"), "“x” is no price", "reported-child-0"),
        (("reported-companion-0", "1"), "Enter a price, too, or no reported price.", "reported-companion-0"),
    ] {
        let page = save(&app, &mut root, &[entered]).await.expect(422).text;
        assert!(page.contains(text) && page.contains(&format!("<a href=\"#{at}\">")), "{text}: {page}");
        let (_, field) = page.split_once(&format!("<input id=\"{at}\"")).expect("the field");
        let field = field.split('>').next().unwrap_or_default();
        let value = format!("value=\"{}\"", entered.1);
        assert!(field.contains("aria-invalid=\"true\"") && field.contains(&value), "{field}");
    }
    assert_eq!(one(&app, "SELECT COUNT(*) FROM card_versions").await, "1");
}

const PLAN: &str = "name: Screen 1\ncategory: S = Standard\ncategory: P = Premium\n\nA | SSSS\nB | SSPP\n";

/// Gives the first screen a plan with a second category.
fn add_premium(app: &App) {
    app.load(json!({"screens": [{"id": 1, "name": "Screen 1", "plan": PLAN}]}));
}

async fn a_card_must_price_every_category(engine: Engine) {
    let (app, mut root) = start(engine).await;
    add_premium(&app);
    let page = root.get(&app, PRICES).await.expect(200).text;
    assert!(page.contains("name=\"category\" value=\"Premium\"") && page.contains("price-adult-1"), "{page}");
    let page = save(&app, &mut root, &[("price-adult-0", "13")]).await.expect(422).text;
    let text = "“Premium” has no price. Enter one for a type that is sold online or at the counter.";
    assert!(page.contains(text) && page.contains("<a href=\"#price-adult-1\">"), "{page}");
    save(&app, &mut root, &[("price-child-1", "9")]).await.expect(303);
    assert_eq!(amounts(&app, 2).await[0], ["Premium", "child", "900", "900", "59"]);
}

async fn companions_are_free(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let page = save(&app, &mut root, &[("price-companion-0", "1.00")]).await.expect(422).text;
    assert!(page.contains("“Companion” is free of charge: its price in “Standard” must be 0."), "{page}");
    save(&app, &mut root, &[("price-companion-0", "0")]).await.expect(303);
    // A type with a price can't become one for companions.
    let page = fill(&app, &mut root, "/admin/ticket_types/2/change/", &[("is_companion", "1")]).await.expect(422).text;
    assert!(page.contains("On the price card “Weekday”: “Child” is free of charge"), "{page}");
}

async fn the_default_ticket_has_no_minimum(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let page = fill(&app, &mut root, "/admin/ticket_types/1/change/", &[("min_per_order", "2")]).await.expect(422).text;
    assert!(page.contains("“Adult” is the first type sold online in “Standard”"), "{page}");
    fill(&app, &mut root, "/admin/ticket_types/2/change/", &[("min_per_order", "2")]).await.expect(303);
    // The second type becomes the first one.
    let page = fill(&app, &mut root, "/admin/ticket_types/1/change/", &[("sold_online", "off")]).await.expect(422).text;
    assert!(page.contains("“Child” is the first type sold online in “Standard”"), "{page}");
    let page = save(&app, &mut root, &[("price-adult-0", "")]).await.expect(422).text;
    assert!(page.contains("“Child” is the first type sold online in “Standard”"), "{page}");
}

async fn a_new_version_moves_the_shows_that_have_not_begun(engine: Engine) {
    let (app, mut root) = start(engine).await;
    for show in ["1", "2"] {
        fill(&app, &mut root, &format!("/admin/shows/{show}/change/"), &[("prices", "1")]).await.expect(303);
    }
    app.sql("UPDATE shows SET card_version_id = 1, card_by_rule = 0 WHERE id = 3").await;
    app.sql("UPDATE shows SET cancelled_at = 1 WHERE id = 2").await;
    let page = root.get(&app, PRICES).await.expect(200).text;
    assert!(page.contains("1 coming show gets these prices."), "{page}");
    let before = app.sql("SELECT id, version, seat_version FROM shows ORDER BY id").await;
    let reply = save(&app, &mut root, &[("price-adult-0", "14")]).await;
    let page = follow(&app, &mut root, reply).await;
    assert!(page.contains("Version 2 of the prices is saved. 1 coming show has it now."), "{page}");
    assert_eq!(app.sql("SELECT card_version_id FROM shows ORDER BY id").await.concat(), ["2", "1", "1"]);
    let after = app.sql("SELECT id, version, seat_version FROM shows ORDER BY id").await;
    assert!(before[0] != after[0] && before[1..] == after[1..], "{before:?} {after:?}");
    // A form of the show that was open before is out of date.
    let number = |cell: &str| cell.parse::<i64>().expect("a number");
    assert_eq!(number(&after[0][1]), number(&before[0][1]) + 1);
    assert_eq!(number(&after[0][2]), number(&before[0][2]) + 1);
    let page = root.get(&app, "/admin/shows/?card=1").await.expect(200).text;
    assert!(page.contains("3 shows"), "{page}");
}

async fn a_version_stays_as_it_was(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let world = app.customer("cleo").await;
    fill(&app, &mut root, "/admin/shows/1/change/", &[("prices", "1")]).await.expect(303);
    for seat in [1, 2] {
        crate::support::booking(&world, 1, seat).send(&app).await.expect(201);
    }
    app.sql("UPDATE bookings SET price_id = 1 WHERE show_id = 1").await;
    save(&app, &mut root, &[("price-adult-0", "14")]).await.expect(303);
    let page = root.get(&app, PRICES).await.expect(200).text;
    let (_, versions) = page.split_once("<h2 id=\"versions\">").expect("a list");
    let rows: Vec<Vec<&str>> = versions
        .split("<tr>")
        .skip(2)
        .map(|row| row.split("<td class=\"number\">").skip(1).filter_map(|cell| cell.split('<').next()).collect())
        .collect();
    assert_eq!(rows, [["1", "0"], ["0", "2"]], "shows, and tickets sold: {versions}");
    assert!(versions.contains("a command") && versions.contains("root"), "{versions}");
    let page = root.get(&app, format!("{PRICES}version/?version=1")).await.expect(200).text;
    for text in ["12.50", "incl. 0.82 tax", "reported 7.50", "by a command"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains("14.00") && !page.contains("<form class=\"object\""), "{page}");
}

async fn two_people_do_not_overwrite_prices(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let mut other = app.superuser("other").await;
    let page = root.get(&app, PRICES).await.expect(200).text;
    save(&app, &mut other, &[("price-adult-0", "15")]).await.expect(303);
    let mine = [("price-adult-0", "14"), ("_do", "save")];
    let reply = send(&app, &mut root, PRICES, fields(&page), &mine).await.expect(409);
    assert!(reply.text.contains("There is a newer version. Nothing was saved."), "{}", reply.text);
    assert!(reply.text.contains("other</bdi> saved") || reply.text.contains("other saved"), "{}", reply.text);
    assert!(reply.text.contains("value=\"14\""), "the typed price stays: {}", reply.text);
    assert_eq!(amounts(&app, 2).await[0][2], "1500");
    // Someone who has seen it can replace it.
    send(&app, &mut root, PRICES, fields(&reply.text), &[("_do", "save")]).await.expect(303);
    assert_eq!(amounts(&app, 3).await[0][2], "1400");
    // A ticket type that changes is a newer version, too.
    let page = root.get(&app, PRICES).await.expect(200).text;
    fill(&app, &mut other, "/admin/ticket_types/1/change/", &[("tax_rate", "19")]).await.expect(303);
    send(&app, &mut root, PRICES, fields(&page), &mine).await.expect(409);
}

async fn prices_that_are_saved_twice_make_one_version(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let page = root.get(&app, PRICES).await.expect(200).text;
    let sent: Vec<_> = (0..4).map(|_| (root.clone(), fields(&page))).collect();
    let app = &app;
    let post = async |(mut who, fields): (Browser, Vec<(String, String)>)| {
        send(app, &mut who, PRICES, fields, &[("price-adult-0", "14"), ("_do", "save")]).await.status
    };
    let statuses = futures_util::future::join_all(sent.into_iter().map(post)).await;
    assert_eq!(statuses, [303; 4]);
    assert_eq!(one(app, "SELECT COUNT(*) FROM card_versions").await, "2");
}

async fn a_card_is_copied(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let path = "/admin/price_cards/actions/copy/";
    let page = root.post(&app, path, &[("ids", "1"), ("name", "weekday")]).await.expect(422).text;
    assert!(page.contains("There is already a price card with this name."), "{page}");
    root.post(&app, path, &[("ids", "1"), ("name", "Weekend")]).await.expect(303);
    assert_eq!(app.sql("SELECT name, current_id FROM price_cards WHERE id = 2").await, [["Weekend", "2"]]);
    let copied =
        app.sql("SELECT type_code, amount, reported FROM prices WHERE version_id = 2 ORDER BY type_code").await;
    assert_eq!(copied, [["adult", "1250", "1250"], ["child", "800", "750"]]);
    assert_eq!(one(&app, "SELECT COUNT(*) FROM card_versions WHERE card_id = 1").await, "1");
    let history = root.get(&app, "/admin/price_cards/2/history/").await.expect(200).text;
    assert!(history.contains("Copied from") && history.contains("Weekday"), "{history}");
}

async fn a_card_with_prices_is_retired_and_not_deleted(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let page = root.get(&app, "/admin/price_cards/1/delete/").await.expect(200).text;
    assert!(page.contains("It has prices, or a rule chooses it."), "{page}");
    fill(&app, &mut root, "/admin/price_cards/add/", &[("name", "Mistake")]).await.expect(303);
    root.post(&app, "/admin/price_cards/2/delete/", &[("_version", "1"), ("confirm", "1")]).await.expect(303);
    fill(&app, &mut root, "/admin/shows/1/change/", &[("prices", "1")]).await.expect(303);
    fill(&app, &mut root, "/admin/price_cards/1/change/", &[("is_retired", "1")]).await.expect(303);
    // A show that has it keeps it, and others are not offered it.
    let offered = |page: &str| page.contains("<option value=\"1\"") && page.contains("Weekday</option>");
    assert!(offered(&root.get(&app, "/admin/shows/1/change/").await.expect(200).text));
    let page = root.get(&app, "/admin/shows/2/change/").await.expect(200).text;
    assert!(!page.contains("Weekday"), "{page}");
    fill(&app, &mut root, "/admin/shows/1/change/", &[("order_limit", "4")]).await.expect(303);
    assert_eq!(one(&app, "SELECT card_version_id FROM shows WHERE id = 1").await, "1");
}

async fn a_show_gets_a_card(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let page = root.get(&app, "/admin/shows/1/change/").await.expect(200).text;
    for option in ["By the rules (no prices)", "No prices", "Weekday"] {
        assert!(page.contains(&format!("{option}</option>")), "{option}: {page}");
    }
    let card =
        async || app.sql("SELECT COALESCE(card_version_id, 0), card_by_rule FROM shows WHERE id = 1").await.concat();
    assert_eq!(card().await, ["0", "1"]);
    let reply = fill(&app, &mut root, "/admin/shows/1/change/", &[("prices", "1")]).await.expect(303);
    drop(reply);
    assert_eq!(card().await, ["1", "0"]);
    let history = root.get(&app, "/admin/shows/1/history/").await.expect(200).text;
    assert!(
        history.contains("Price card") && history.contains("By the rules") && history.contains("Weekday"),
        "{history}"
    );
    // Another change leaves it.
    fill(&app, &mut root, "/admin/shows/1/change/", &[("order_limit", "4")]).await.expect(303);
    assert_eq!(card().await, ["1", "0"]);
    fill(&app, &mut root, "/admin/shows/1/change/", &[("prices", "none")]).await.expect(303);
    assert_eq!(card().await, ["0", "0"]);
    fill(&app, &mut root, "/admin/shows/1/change/", &[("prices", "")]).await.expect(303);
    assert_eq!(card().await, ["0", "1"]);
    for wrong in ["77", "x", "-1"] {
        let page = fill(&app, &mut root, "/admin/shows/1/change/", &[("prices", wrong)]).await.expect(422).text;
        assert!(page.contains("id=\"prices-faults\""), "{wrong}: {page}");
    }
    assert_eq!(card().await, ["0", "1"]);
}

async fn a_card_without_a_category_is_refused(engine: Engine) {
    let (app, mut root) = start(engine).await;
    // Show 1 gets the plan with Premium; show 2 on the other screen gets a card.
    add_premium(&app);
    fill(&app, &mut root, "/admin/shows/2/change/", &[("prices", "1")]).await.expect(303);
    let give = [("plan", one(&app, "SELECT MAX(id) FROM plans").await)];
    let give = [("plan", give[0].1.as_str()), ("ids", "1")];
    root.post(&app, "/admin/screens/1/plan/shows/", &give).await.expect(303);
    assert_eq!(one(&app, "SELECT COUNT(*) FROM shows WHERE id = 1 AND plan_id IS NOT NULL").await, "1");
    let page = fill(&app, &mut root, "/admin/shows/1/change/", &[("prices", "1")]).await.expect(422).text;
    assert!(page.contains("The price card “Weekday” has no price for “Premium”"), "{page}");
    // Neither does a show with that card move to that screen, unless it gets another card as well.
    let page =
        fill(&app, &mut root, "/admin/shows/2/change/", &[("screen_id", "1"), ("_anyway", "1")]).await.expect(422).text;
    assert!(page.contains("Its price card has no price for “Premium”."), "{page}");
    let both = [("screen_id", "1"), ("prices", "none"), ("_anyway", "1")];
    fill(&app, &mut root, "/admin/shows/2/change/", &both).await.expect(303);
    // A plan with a new category is not given to a show whose card lacks it.
    save(&app, &mut root, &[("price-adult-1", "15")]).await.expect(303);
    fill(&app, &mut root, "/admin/shows/1/change/", &[("prices", "1")]).await.expect(303);
    let plan = PLAN.replace("Premium", "Sofa");
    app.load(json!({"screens": [{"id": 1, "name": "Screen 1", "plan": plan}]}));
    let page = root.get(&app, "/admin/screens/1/plan/shows/").await.expect(200).text;
    let (_, kept) = page.split_once("<h2 id=\"kept\">").expect("a list of shows that keep their plan");
    assert!(kept.contains("Its price card has no price for “Sofa”."), "{kept}");
    let plan = one(&app, "SELECT MAX(id) FROM plans").await;
    root.post(&app, "/admin/screens/1/plan/shows/", &[("plan", &*plan), ("ids", "1")]).await.expect(303);
    assert_eq!(one(&app, &format!("SELECT COUNT(*) FROM shows WHERE id = 1 AND plan_id = {plan}")).await, "0");
    // A version that lacks a category of a show is not given to it.
    let page = root.get(&app, PRICES).await.expect(200).text;
    let categories: Vec<String> =
        fields(&page).into_iter().filter(|(name, _)| name == "category").map(|(_, category)| category).collect();
    assert_eq!(categories, ["Standard", "Premium", "Sofa"], "those of coming shows, too");
}

async fn copies_have_the_card_of_their_source(engine: Engine) {
    let (app, mut root) = start(engine).await;
    fill(&app, &mut root, "/admin/shows/1/change/", &[("prices", "1")]).await.expect(303);
    let copy = [("ids", "1,2"), ("first", "2035-07-06"), ("times", "1"), ("every", "week"), ("collisions", "list")];
    root.post(&app, "/admin/shows/actions/copy/", &copy).await.expect(303);
    let copied = app.sql("SELECT COALESCE(card_version_id, 0), card_by_rule FROM shows WHERE id > 3 ORDER BY id").await;
    assert_eq!(copied, [["1", "0"], ["0", "1"]]);
}

async fn prices_need_permission(engine: Engine) {
    let (app, _) = start(engine).await;
    let mut viewer = app.staff("viewer", &["price_cards.view"]).await;
    let page = viewer.get(&app, PRICES).await.expect(200).text;
    assert!(page.contains(" readonly") && !page.contains("Save the prices"), "{page}");
    viewer.get(&app, format!("{PRICES}version/?version=1")).await.expect(200);
    viewer.post(&app, PRICES, &[("_do", "save")]).await.expect(403);
    for path in ["ticket_types/", "price_rules/", "price_rules/all/"] {
        viewer.get(&app, format!("/admin/{path}")).await.expect(403);
    }
    let permissions = app
        .sql(
            "SELECT p.permission FROM group_permissions p JOIN staff_groups g ON g.id = p.group_id WHERE g.name = 'Manager'
             AND (p.permission LIKE 'price%' OR p.permission LIKE 'ticket%') ORDER BY p.permission",
        )
        .await;
    assert_eq!(permissions.len(), 10, "{permissions:?}");
}

async fn other_currencies_have_other_decimals(engine: Engine) {
    let env = vec![("CURRENCY", "JPY".to_owned())];
    let app = App::start_with(engine, Options { env, ..Options::default() }).await;
    app.world().await;
    let mut root = app.superuser("root").await;
    fill(&app, &mut root, "/admin/ticket_types/add/", &[("name", "Adult"), ("tax_rate", "10")]).await.expect(303);
    fill(&app, &mut root, "/admin/price_cards/add/", &[("name", "Day")]).await.expect(303);
    let page = save(&app, &mut root, &[("price-adult-0", "1800.5")]).await.expect(422).text;
    assert!(page.contains("Enter a whole number of at most 100000000."), "{page}");
    save(&app, &mut root, &[("price-adult-0", "1800")]).await.expect(303);
    assert_eq!(app.sql("SELECT currency, amount, tax FROM prices").await, [["JPY", "1800", "164"]]);
    let page = root.get(&app, PRICES).await.expect(200).text;
    assert!(page.contains("Prices in JPY") && page.contains("value=\"1800\""), "{page}");
    // The currency is fixed from now on.
    let started = app.marquee_with(&["serve", "--bind", "127.0.0.1:0"], "", &[("CURRENCY", "EUR")]);
    let told = String::from_utf8_lossy(&started.stderr).into_owned();
    assert!(!started.status.success() && told.contains("Set CURRENCY=JPY"), "{told}");
    let checked = app.marquee_with(&["check"], "", &[("CURRENCY", "EUR")]);
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(told.contains("WRONG CURRENCY is EUR, but the prices of this cinema are in JPY."), "{told}");
    let checked = app.marquee_with(&["check"], "", &[("CURRENCY", "JPY")]);
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(told.contains("ok    the prices are in the currency of the settings"), "{told}");
}
