//! Ticket types, price cards and rules in the files of `marquee loaddata` and `marquee dumpdata`.

use serde_json::{Value, json};

use super::command_line::{count, run};
use super::loaddata::load;
use crate::support::{App, Engine};

tests! {
    command_line: [
        prices_go_round,
        loaded_prices_make_versions,
        loaded_shows_have_their_cards,
        wrong_prices_are_refused,
        files_without_prices_change_none,
        the_sample_has_prices,
    ]
}

/// A cinema with everything that a file can say about prices.
fn cinema() -> Value {
    json!({
        "ticket_types": [
            {"code": "adult", "name": "Adult", "place": 1, "sold_online": true, "sold_at_counter": true, "tax_rate": "7"},
            {"code": "family", "name": "Family \u{1f3ac}", "place": 2, "sold_online": false, "sold_at_counter": true,
             "min_per_order": 3, "max_per_order": 6, "proof": "\"Card\"", "tax_rate": "5.5"},
            {"code": "companion", "name": "Companion", "place": 3, "sold_online": true, "sold_at_counter": true,
             "tax_rate": "0", "is_companion": true},
            {"code": "old", "name": "Old", "place": 4, "sold_online": true, "sold_at_counter": true, "tax_rate": "0",
             "is_retired": true},
        ],
        "price_cards": [
            {"name": "Empty", "is_retired": true, "prices": []},
            {"name": "Weekday", "currency": "EUR", "prices": [
                {"category": "Standard", "type": "adult", "price": "12.50", "reported": "11.00"},
                {"category": "Sofa", "type": "adult", "price": "15.00"},
                {"category": "Standard", "type": "family", "price": "8.00"},
                {"category": "Standard", "type": "companion", "price": "0.00"},
            ]},
            {"name": "Weekend", "currency": "EUR", "prices": [
                {"category": "Standard", "type": "adult", "price": "14.00"},
            ]},
        ],
        "price_rules": [
            {"card": "Weekend", "weekdays": ["saturday", "sunday"], "from_time": "17:00", "until_time": "01:00",
             "from_date": "2035-01-01", "until_date": "2035-12-31", "format": "3D"},
            {"card": "Weekday"},
        ],
        "movies": [{"id": 1, "title": "The Orchard", "duration_minutes": 90}],
        "screens": [{"id": 1, "name": "Plain"}],
        "shows": [
            {"id": 1, "movie": 1, "screen": 1, "date_time": "2035-06-01T18:30:00Z", "total_seats": 5},
            {"id": 2, "movie": 1, "screen": 1, "date_time": "2035-06-02T18:30:00Z", "total_seats": 5, "format": "3D"},
            {"id": 3, "movie": 1, "screen": 1, "date_time": "2035-06-03T18:30:00Z", "total_seats": 5,
             "price_card": "Weekend"},
            {"id": 4, "movie": 1, "screen": 1, "date_time": "2035-06-04T18:30:00Z", "total_seats": 5, "price_card": ""},
        ],
    })
}

async fn cards(app: &App) -> Vec<String> {
    app.sql(
        "SELECT COALESCE(c.name, '-') FROM shows s LEFT JOIN card_versions v ON v.id = s.card_version_id
         LEFT JOIN price_cards c ON c.id = v.card_id ORDER BY s.id",
    )
    .await
    .concat()
}

async fn prices_go_round(engine: Engine) {
    let app = App::start(engine).await;
    load(&app, cinema().to_string(), &[]).exits(0).says(&["4 ticket types, 3 price cards, 2 price rules"]);
    assert_eq!(cards(&app).await, ["Weekday", "Weekend", "Weekend", "-"]);
    let dumped = run(&app, &["dumpdata"]).exits(0).out;
    assert_eq!(serde_json::from_str::<Value>(&dumped).expect("JSON"), cinema());
    for engine in [Engine::Sqlite, engine] {
        let copy = App::start(engine).await;
        load(&copy, &dumped, &[]).exits(0);
        assert_eq!(run(&copy, &["dumpdata"]).exits(0).out, dumped);
        assert_eq!(cards(&copy).await, cards(&app).await);
        load(&copy, &dumped, &[]).exits(0).says(&["0 shows, 0 ticket types, 0 price cards, 0 price rules"]);
        assert_eq!(count(&copy, "card_versions").await, 2);
    }
}

async fn loaded_prices_make_versions(engine: Engine) {
    let app = App::start(engine).await;
    load(&app, cinema().to_string(), &[]).exits(0);
    let other = json!({"price_cards": [{"name": "Weekend", "prices": [
        {"category": "Standard", "type": "adult", "price": "15"},
    ]}]});
    let before = app.sql("SELECT version FROM shows WHERE id = 2").await;
    load(&app, other.to_string(), &[]).exits(0).says(&["1 price card"]);
    let amounts = app
        .sql(
            "SELECT v.number, p.amount, p.tax FROM prices p JOIN card_versions v ON v.id = p.version_id
             JOIN price_cards c ON c.id = v.card_id WHERE c.name = 'Weekend' ORDER BY v.number",
        )
        .await;
    assert_eq!(amounts, [["1", "1400", "92"], ["2", "1500", "98"]]);
    assert_ne!(app.sql("SELECT version FROM shows WHERE id = 2").await, before, "the coming shows got it");
    // A type that changes makes new versions, too.
    load(&app, r#"{"ticket_types": [{"code": "adult", "tax_rate": "19"}]}"#, &[]).exits(0).says(&["1 ticket type"]);
    let rates = app.sql("SELECT name, tax_rate FROM card_types WHERE code = 'adult' ORDER BY version_id").await;
    assert_eq!(rates.iter().map(|row| row[1].as_str()).collect::<Vec<_>>(), ["700", "700", "700", "1900", "1900"]);
    let old = "SELECT COUNT(*) FROM shows s JOIN price_cards c ON c.current_id = s.card_version_id";
    assert_eq!(app.sql(old).await, [["3"]], "the shows have the newest versions");
}

async fn loaded_shows_have_their_cards(engine: Engine) {
    let app = App::start(engine).await;
    load(&app, cinema().to_string(), &[]).exits(0);
    // The rules change, and the shows with them.
    load(&app, r#"{"price_rules": [{"card": "Weekend"}]}"#, &[]).exits(0).says(&["1 price rule"]);
    assert_eq!(cards(&app).await, ["Weekend", "Weekend", "Weekend", "-"]);
    let show = json!({"shows": [{"id": 4, "movie": 1, "screen": 1, "date_time": "2035-06-04T18:30:00Z", "total_seats": 5,
                                 "price_card": "Weekday"}]});
    load(&app, show.to_string(), &[]).exits(0).says(&["1 show"]);
    load(&app, show.to_string(), &[]).exits(0).says(&["0 shows"]);
    assert_eq!(cards(&app).await[3], "Weekday");
    // A plan whose seats no card prices.
    let loge = json!({
        "screens": [{"name": "Loge", "plan": "name: Loge\ncategory: L = Loge\n\nA | LLLL\n"}],
        "shows": [{"movie": 1, "screen": "Loge", "date_time": "2035-06-01T12:00:00Z"}],
    });
    let loaded = load(&app, loge.to_string(), &[]).exits(0);
    assert!(loaded.err.contains("The price card “Weekend” has no price for “Loge”"), "{}", loaded.err);
    assert_eq!(cards(&app).await[4], "-");
}

async fn wrong_prices_are_refused(engine: Engine) {
    let app = App::start(engine).await;
    load(&app, cinema().to_string(), &[]).exits(0);
    let price = |price: Value| json!({"price_cards": [{"name": "Weekday", "prices": [price]}]});
    let kind = |kind: Value| json!({"ticket_types": [kind]});
    let rule = |rule: Value| json!({"price_rules": [rule]});
    for (file, told) in [
        (price(json!({"category": "Standard", "type": "x", "price": "1"})), "prices[0].type: there is no ticket type"),
        (
            price(json!({"category": "Standard", "type": "adult", "price": "1.234"})),
            "prices[0].price: must be an amount",
        ),
        (price(json!({"category": "Standard", "type": "adult", "price": "1", "reported": "x"})), "prices[0].reported"),
        (price(json!({"category": "", "type": "adult", "price": "1"})), "prices[0].category: must have 1 to 100"),
        (price(json!({"category": "Standard", "type": "companion", "price": "1"})), "“Companion” is free of charge"),
        (json!({"price_cards": [{"name": "X", "currency": "USD"}]}), "currency: the prices of this cinema are in EUR"),
        (json!({"price_cards": [{"name": " "}]}), "price_cards[0].name: must have 1 to 100 characters"),
        (kind(json!({"code": "A b", "name": "x"})), "ticket_types[0].code: must be 1 to 40 small letters"),
        (kind(json!({"code": "new"})), "ticket_types[0].name: must have 1 to 100 characters"),
        (kind(json!({"code": "adult", "tax_rate": "101"})), "ticket_types[0].tax_rate: must be a percentage"),
        (kind(json!({"code": "adult", "min_per_order": 2})), "“Adult” is the first type sold online"),
        (kind(json!({"code": "adult", "min_per_order": 3, "max_per_order": 2})), "can't be below min_per_order"),
        (kind(json!({"code": "adult", "is_retired": true})), "“Standard” has no price"),
        (rule(json!({"card": "X"})), "price_rules[0].card: there is no price card called \"X\""),
        (rule(json!({"card": "Empty"})), "price_rules[0].card: the price card has no prices"),
        (rule(json!({"card": "Weekday", "weekdays": ["someday"]})), "\"someday\" is no weekday"),
        (rule(json!({"card": "Weekday", "from_time": "25:00"})), "price_rules[0].from_time: must be a time"),
        (rule(json!({"card": "Weekday", "until_date": "soon"})), "price_rules[0].until_date: must be a date"),
        (rule(json!({"card": "Weekday", "format": "5D"})), "price_rules[0].format: must be the format"),
        (
            json!({"shows": [{"id": 1, "movie": 1, "screen": 1, "date_time": "2035-06-01T18:30:00Z", "price_card": "X"}]}),
            "shows[0].price_card: there is no price card called \"X\"",
        ),
    ] {
        let loaded = load(&app, file.to_string(), &[]);
        assert!(loaded.err.contains(told) && loaded.err.contains("nothing was changed"), "{told}: {}", loaded.err);
    }
    assert_eq!(count(&app, "card_versions").await, 2);
    let other = [("CURRENCY", "USD")];
    let loaded = load(&app, cinema().to_string(), &other);
    assert!(loaded.err.contains("Set CURRENCY=EUR"), "{}", loaded.err);
}

async fn files_without_prices_change_none(engine: Engine) {
    let app = App::start(engine).await;
    load(&app, cinema().to_string(), &[]).exits(0);
    let mut old = cinema();
    for name in ["ticket_types", "price_cards", "price_rules"] {
        old.as_object_mut().expect("an object").remove(name);
    }
    for show in old["shows"].as_array_mut().expect("shows") {
        show.as_object_mut().expect("an object").remove("price_card");
    }
    load(&app, old.to_string(), &[]).exits(0).says(&["Loaded 0 movies, 0 screens, 0 shows."]);
    assert_eq!(cards(&app).await, ["Weekday", "Weekend", "Weekend", "-"]);
    let empty = App::start(engine).await;
    load(&empty, old.to_string(), &[]).exits(0);
    assert_eq!(cards(&empty).await, ["-", "-", "-", "-"]);
    let dumped: Value = serde_json::from_str(&run(&empty, &["dumpdata"]).out).expect("JSON");
    assert_eq!(dumped, old);
}

async fn the_sample_has_prices(engine: Engine) {
    let app = App::start(engine).await;
    run(&app, &["load-sample-data"]).exits(0);
    let types = app.sql("SELECT name FROM ticket_types ORDER BY place").await.concat();
    assert_eq!(types, ["Adult", "Child", "Student", "Senior", "Companion", "Complimentary"]);
    let of_cards = cards(&app).await;
    for card in ["Matinee", "Weekend", "Weekday"] {
        assert!(of_cards.iter().any(|name| name == card), "{card}: {of_cards:?}");
    }
    let free = of_cards.iter().filter(|name| *name == "-").count();
    assert!((1..=20).contains(&free), "{free} of {} shows have no prices", of_cards.len());
    run(&app, &["load-sample-data"]).exits(0);
    assert_eq!(count(&app, "card_versions").await, 3);
}
