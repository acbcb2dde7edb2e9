//! Searching in the panel: by the beginning of any word, in any order and form, and by codes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::lists::{ids, open, panel};
use crate::support::{App, Browser, Call, Engine, booking};

tests! {
    admin_search: [
        each_search_word_begins_a_word,
        every_form_of_a_letter_matches,
        search_finds_objects_through_their_owner,
        words_are_written_with_the_object,
        rows_of_an_earlier_version_get_their_words,
        a_killed_migration_goes_on_with_the_words,
        codes_are_found_before_and_after_they_are_indexed,
    ]
}

/// Titles of movies with the ids from 1.
const TITLES: [&str; 13] = [
    "The Long Take",
    "The Longest Night",
    "Ödland",
    "100% Love",
    "1000 Nights",
    "A_B",
    "AxB",
    r"Back\slash",
    "Backwards",
    "!!!",
    "L’Été Straßburg",
    "The Glass-Ferryman",
    "Łódź",
];

/// Typed words, as in the URL, and the ids of the movies that they find.
const SEARCHES: &[(&str, &[i64])] = &[
    ("the+long", &[1, 2]),
    ("THE+LONG", &[1, 2]),
    ("++the++long++take+", &[1]),
    ("the+the", &[1, 2, 12]),
    ("long", &[1, 2]),
    ("take+the", &[1]),
    ("nigh+long", &[2]),
    ("ake", &[]),
    ("the+ake", &[]),
    ("%C3%B6d", &[3]),
    ("%C3%96D", &[3]),
    ("od", &[3]),
    ("100%25", &[4, 5]),
    ("100%25+lo", &[4]),
    ("%25", &[]),
    ("100", &[4, 5]),
    ("a_", &[6, 7]),
    ("a_b", &[6]),
    ("_", &[]),
    ("back%5C", &[8, 9]),
    ("back%5Csl", &[8]),
    ("slash", &[8]),
    ("!!", &[10]),
    ("!", &[10]),
    ("%21%21%21%21", &[]),
    ("l%27ete", &[11]),
    ("%C3%A9t%C3%A9", &[11]),
    ("STRASSB", &[11]),
    ("stra%C3%9Fburg+l", &[11]),
    ("ferry", &[12]),
    ("ferry+-+glass", &[12]),
    ("glass-ferryman", &[12]),
    ("lodz", &[13]),
    ("%C5%81%C3%93D", &[13]),
    ("7", &[7]),
    ("7+ax", &[7]),
    ("7+b", &[]),
    ("-7", &[]),
    ("1", &[1, 4, 5]),
    ("99999999999999999999", &[]),
    ("'", &[]),
    ("the%00long", &[1, 2]),
];

async fn each_search_word_begins_a_word(engine: Engine) {
    let (app, mut root) = panel(engine).await;
    let movies: Vec<Value> = TITLES
        .iter()
        .enumerate()
        .map(|(place, title)| json!({"id": place + 1, "title": title, "duration_minutes": 90}))
        .collect();
    app.load(json!({"movies": movies}));
    for (words, expected) in SEARCHES {
        let mut found = ids(&app, &mut root, &format!("movies/?q={words}")).await;
        found.sort_unstable();
        assert_eq!(found, *expected, "{words}");
        let named = open(&app, &mut root, &format!("movies/names/?q={words}")).await;
        let named: Vec<Value> = serde_json::from_str(&named).expect("JSON");
        let mut named: Vec<i64> = named.iter().map(|one| one["id"].as_i64().unwrap()).collect();
        named.sort_unstable();
        assert_eq!(named, *expected, "names of {words}");
    }
    let page = open(&app, &mut root, "movies/?q=%3Cscript%3E").await;
    assert!(page.contains("Nothing matches") && !page.contains("<script>"), "{page}");
}

async fn search_finds_objects_through_their_owner(engine: Engine) {
    let (app, mut root) = panel(engine).await;
    let world = app.world().await;
    app.sql("UPDATE users SET first_name = 'Åsa', last_name = 'de Vries', version = 2 WHERE username = 'ann'").await;
    app.make_words();
    let mut made = Vec::new();
    for (user, show, seat) in [(&world.ann, 1, 5), (&world.ann, 2, 1), (&world.bob, 1, 6)] {
        made.push(booking(user, show, seat).send(&app).await.expect(201).json()["id"].as_i64().unwrap());
    }
    let [first, second, third] = made[..] else { panic!("{made:?}") };
    let page = open(&app, &mut root, &format!("bookings/?q={third}")).await;
    let is_code = |word: &&str| {
        word.len() == 11 && word.as_bytes()[5] == b'-' && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let code = page.split(['<', '>', '"', ' ']).find(is_code).expect("an order's code").to_owned();
    let (half, other_half) = code.split_once('-').expect("it has halves");
    let mistaken = code.replace('0', "o").replace('1', "l").replace('V', "u");
    for (query, expected) in [
        ("q=ann".to_owned(), vec![first, second]),
        ("q=ANN%40EX".to_owned(), vec![first, second]),
        ("q=%C3%A5s+de+v".to_owned(), vec![first, second]),
        ("q=the+long+b".to_owned(), vec![third]),
        ("q=the+long+x".to_owned(), vec![]),
        ("q=long+ann+take".to_owned(), vec![first, second]),
        ("q=VRIES+asa".to_owned(), vec![first, second]),
        ("q=example".to_owned(), vec![first, second, third]),
        ("q=bob+the+long".to_owned(), vec![third]),
        ("q=ann+no+shows".to_owned(), vec![]),
        (format!("q={second}"), vec![second]),
        (format!("q={second}+bob"), vec![]),
        (format!("q={}", code.to_lowercase()), vec![third]),
        (format!("q={half}"), vec![third]),
        (format!("q={other_half}"), vec![third]),
        (format!("q={}", other_half.to_lowercase()), vec![third]),
        (format!("q={half}+{other_half}"), vec![third]),
        (format!("q={other_half}+{half}+bob"), vec![third]),
        (format!("q={half}{other_half}"), vec![third]),
        (format!("q={half}%E2%80%93{other_half}"), vec![third]),
        (format!("q={mistaken}"), vec![third]),
        (format!("q={half}-{}", &other_half[..3]), vec![third]),
        (format!("q={half}+ann"), vec![]),
        ("show=1".to_owned(), vec![first, third]),
        ("show=1&q=ann".to_owned(), vec![first]),
        ("screen=2".to_owned(), vec![second]),
        ("movie=2".to_owned(), vec![]),
        ("status=cancelled".to_owned(), vec![]),
        ("status=booked&screen=1&q=b".to_owned(), vec![third]),
        ("year=2035&month=6&day=2".to_owned(), vec![second]),
        ("year=2035&month=6&q=bo".to_owned(), vec![third]),
    ] {
        let mut found = ids(&app, &mut root, &format!("bookings/?{query}")).await;
        found.sort_unstable();
        assert_eq!(found, expected, "{query}");
    }
    // Screen names are distinguished by letter case, but found regardless of it.
    app.sql("UPDATE screens SET name = 'Blue Room', version = version + 1 WHERE id = 2").await;
    app.make_words();
    assert_eq!(ids(&app, &mut root, "screens/?q=bLUE+roo").await, [2]);
    assert_eq!(ids(&app, &mut root, "shows/?q=blue+ro").await, [2]);
    assert_eq!(ids(&app, &mut root, "shows/?q=room+long").await, [2]);
    assert_eq!(ids(&app, &mut root, "users/?q=VRIES").await, [world.ann.id]);
    assert_eq!(ids(&app, &mut root, "users/?q=vr+de").await, [world.ann.id]);
    assert_eq!(ids(&app, &mut root, "users/?q=ries").await, Vec::<i64>::new(), "only the beginning of a word");
}

/// A Mac writes a letter and its accent as two characters, other systems as one, and some people leave the accent out.
async fn every_form_of_a_letter_matches(engine: Engine) {
    let (app, mut root) = panel(engine).await;
    for title in ["Mu\u{308}ller", "M\u{fc}ller", "MU\u{308}LLER", "Muller", "\u{ff2d}uller", "Miller"] {
        app.sql(&format!("INSERT INTO movies (title, duration_minutes) VALUES ('{title}', 90)")).await;
    }
    app.make_words();
    for asked in ["Mu%CC%88ller", "M%C3%BCller", "m%C3%BCl", "MU%CC%88LL", "mull", "%EF%BC%ADULL"] {
        let found: BTreeSet<i64> = ids(&app, &mut root, &format!("movies/?q={asked}")).await.into_iter().collect();
        assert_eq!(found, [1, 2, 3, 4, 5].into(), "{asked}");
    }
}

/// Checks that these words find this object of a model, or not.
async fn finds(app: &App, root: &mut Browser, model: &str, id: i64, found: &[&str], lost: &[&str]) {
    for (words, expected) in found.iter().map(|words| (words, true)).chain(lost.iter().map(|words| (words, false))) {
        let query: String = form_urlencoded::byte_serialize(words.as_bytes()).collect();
        let is_found = ids(app, root, &format!("{model}/?q={query}")).await.contains(&id);
        assert_eq!(is_found, expected, "{model} {id} by {words}");
    }
}

async fn count(app: &App, condition: &str) -> String {
    app.sql(&format!("SELECT COUNT(*) FROM search_words WHERE {condition}")).await.concat().concat()
}

async fn words_are_written_with_the_object(engine: Engine) {
    let (app, mut root) = panel(engine).await;
    app.load(json!({"movies": [{"id": 1, "title": "Salt on the Windowpane", "duration_minutes": 90}]}));
    finds(&app, &mut root, "movies", 1, &["window", "on salt"], &["pane"]).await;
    let form = [("title", "Sparrows"), ("duration_minutes", "91"), ("_version", "1")];
    root.post(&app, "/admin/movies/1/change/", &form).await.expect(303);
    finds(&app, &mut root, "movies", 1, &["sparrow"], &["window", "salt"]).await;
    app.load(json!({"movies": [{"id": 1, "title": "Eleven Floors", "duration_minutes": 90}]}));
    finds(&app, &mut root, "movies", 1, &["floors eleven"], &["sparrow"]).await;
    root.post(&app, "/admin/movies/1/delete/", &[]).await.expect(303);
    assert_eq!(count(&app, "kind = 1").await, "0");
    root.post(&app, "/admin/screens/add/", &[("name", "Großer Saal")]).await.expect(303);
    finds(&app, &mut root, "screens", 1, &["grosser", "saal GROSS"], &["aal"]).await;
    root.post(&app, "/admin/screens/1/delete/", &[]).await.expect(303);
    assert_eq!(count(&app, "kind = 2").await, "0");
    root.post(&app, "/admin/groups/add/", &[("name", "Front of House")]).await.expect(303);
    let group = app.sql("SELECT id FROM staff_groups WHERE name = 'Front of House'").await.concat().concat();
    finds(&app, &mut root, "groups", group.parse().expect("an id"), &["house front"], &["ouse"]).await;
    root.post(&app, format!("/admin/groups/{group}/delete/"), &[]).await.expect(303);
    // The groups to begin with keep theirs.
    assert_eq!(count(&app, &format!("kind = 4 AND object_id = {group}")).await, "0");
    let (password, email) = ("Sturdy-Lantern-42", "Zoe.Lindqvist@Kino-Nord.example");
    let form = json!({"username": "zoë_l", "email": email, "password": password, "password2": password});
    let zoe = Call::post("/api/signup/").json(form).send(&app).await.expect(201).json()["id"].as_i64().expect("an id");
    let by_all = ["ZOE", "lindqvist", "nord", "zoe.lindqvist@kino-nord.ex", "ZOE_L", "l zoë"];
    finds(&app, &mut root, "users", zoe, &by_all, &["qvist", "lindqvist@kino"]).await;
    let form = [
        ("username", "zoë_l"),
        ("email", "z@example.com"),
        ("first_name", "Zoë"),
        ("last_name", "Sjöberg"),
        ("is_active", "1"),
        ("_version", "1"),
    ];
    root.post(&app, format!("/admin/users/{zoe}/change/"), &form).await.expect(303);
    finds(&app, &mut root, "users", zoe, &["sjoberg zoe", "z@ex"], &["lindqvist", "nord"]).await;
    let args = ["createsuperuser", "--noinput", "--username", "boss", "--email", "chief@example.com"];
    let created = app.marquee_with(&args, "", &[("MARQUEE_SUPERUSER_PASSWORD", password)]);
    assert!(created.status.success(), "{created:?}");
    assert_eq!(ids(&app, &mut root, "users/?q=chief").await.len(), 1);
    // Deactivating a user changes no text, so there is nothing to do.
    app.succeed(&["deactivate-user", "boss"]);
    for table in ["movies", "screens", "users", "staff_groups"] {
        let lacking = app.sql(&format!("SELECT id FROM {table} WHERE lacks_words = 1")).await;
        assert!(lacking.is_empty(), "{table}: {lacking:?}");
    }
}

/// During an upgrade an instance of the version before may write beside this one: it knows no words.
async fn rows_of_an_earlier_version_get_their_words(engine: Engine) {
    let (app, mut root) = panel(engine).await;
    app.load(json!({"movies": [{"id": 1, "title": "Salt", "duration_minutes": 90}]}));
    let add = "INSERT INTO movies (id, title, duration_minutes) VALUES (2, 'The Orchard Protocol', 90)";
    let change = "UPDATE movies SET title = 'Pepper', version = version + 1 WHERE id = 1";
    for sql in [add, change] {
        app.sql(sql).await;
    }
    // The command does it, and so does a server's job.
    app.make_words();
    finds(&app, &mut root, "movies", 1, &["pepper"], &["salt"]).await;
    finds(&app, &mut root, "movies", 2, &["protocol orchard"], &[]).await;
    app.sql("UPDATE movies SET title = 'Tin Museum', version = version + 1 WHERE id = 1").await;
    app.sql("UPDATE jobs SET next_at = 0 WHERE name = 'search words'").await;
    app.instance(0).restart().await;
    let began = Instant::now();
    while ids(&app, &mut root, "movies/?q=museum").await != [1] {
        assert!(began.elapsed() < Duration::from_secs(60), "the job makes no words");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    finds(&app, &mut root, "movies", 1, &["tin"], &["pepper"]).await;
}

async fn a_killed_migration_goes_on_with_the_words(engine: Engine) {
    let (app, mut root) = panel(engine).await;
    let number = |i: i64| format!("({i}, 'guest{i}', 'guest{i}', 'guest{i}@example.com', '!', 0)");
    for first in (1..=8_000).step_by(1_000) {
        let rows: Vec<String> = (first..first + 1_000).map(|i| number(10_000 + i)).collect();
        let columns = "id, username, username_key, email, password, date_joined";
        app.sql(&format!("INSERT INTO users ({columns}) VALUES {}", rows.join(", "))).await;
    }
    let mut killed = app.command(&["migrate".to_owned()]).spawn().expect("marquee starts");
    let began = Instant::now();
    while count(&app, "kind = 3 AND object_id > 10000").await == "0" && began.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    killed.kill().expect("it can be killed");
    killed.wait().expect("it can be waited for");
    // Two that go on at the same time share the rest.
    let outputs = std::thread::scope(|scope| {
        let start = || scope.spawn(|| app.marquee(&["migrate"]));
        [start(), start()].map(|process| process.join().expect("it can be waited for"))
    });
    assert!(outputs.iter().all(|output| output.status.success()), "{outputs:?}");
    assert!(app.sql("SELECT id FROM users WHERE lacks_words = 1").await.is_empty());
    assert_eq!(count(&app, "kind = 3 AND object_id > 10000").await, (8_000 * 4).to_string());
    finds(&app, &mut root, "users", 17_777, &["guest17777", "guest17777@ex"], &["uest17777"]).await;
}

async fn codes_are_found_before_and_after_they_are_indexed(engine: Engine) {
    let (app, mut root) = panel(engine).await;
    let world = app.world().await;
    // The test decides when the codes are indexed.
    app.sql("UPDATE jobs SET next_at = 4000000000000000 WHERE name = 'order codes'").await;
    let body = json!({"seats": [2, 3]});
    let hold = Call::post("/api/shows/1/holds/").bearer(&world.ann.access).json(body).send(&app).await;
    let hold = hold.expect(201).json()["id"].as_i64().expect("an id");
    let order = Call::post(format!("/api/holds/{hold}/confirm/")).bearer(&world.ann.access).send(&app).await;
    let order = order.expect(201).json();
    let code = order["code"].as_str().expect("a code").to_lowercase();
    let (half, other_half) = code.split_once('-').expect("it has halves");
    booking(&world.bob, 1, 9).send(&app).await.expect(201);
    for is_indexed in ["NULL", "1"] {
        let stored = app.sql(&format!("SELECT has_code FROM orders WHERE id = {hold}")).await;
        assert_eq!(stored, [[is_indexed]]);
        let with_sign = [half, other_half, &code, &code.replace('-', "")].map(|typed| format!("%23{typed}"));
        let plain = [half, other_half, &code, &code.replace('-', "+"), &code[..8], &half[..4]].map(str::to_owned);
        for typed in plain.iter().chain(&with_sign) {
            // Four letters without a digit may be a word.
            let is_word = typed.len() == 4 && !typed.contains(|c: char| c.is_ascii_digit());
            let found = ids(&app, &mut root, &format!("orders/?q={typed}")).await;
            assert_eq!(found.contains(&hold), !is_word, "{typed}");
            let found = ids(&app, &mut root, &format!("bookings/?q={typed}")).await;
            assert_eq!(found.len() >= 2, !is_word, "{typed}: {found:?}");
        }
        let none = ids(&app, &mut root, &format!("orders/?q={half}+bob")).await;
        assert_eq!(none, Vec::<i64>::new());
        app.make_words();
    }
    assert_eq!(app.sql("SELECT COUNT(*) FROM order_codes").await, [["4"]]);
    // People and programs may write a code as they like.
    for typed in [half.to_owned() + other_half, code.replace('-', "%20"), code.replace('-', "%E2%80%93")] {
        let found = Call::get(format!("/api/orders/{typed}/")).bearer(&world.ann.access).send(&app).await;
        assert_eq!(found.expect(200).json()["code"], order["code"], "{typed}");
    }
    let held =
        Call::post("/api/shows/1/holds/").bearer(&world.bob.access).json(json!({"seats": [20]})).send(&app).await;
    let held = held.expect(201).json()["id"].as_i64().expect("an id");
    assert_eq!(ids(&app, &mut root, "holds/?q=bob+take").await, [held]);
}
