//! What must hold if processes die, instances race, or the schema is not the expected one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::join;
use marquee::config::parse_database_url;
use marquee::db::Db;
use marquee::shows::store::{PutOutcome, ShowDraft, put_show};
use mysql_async::prelude::Queryable;
use serde_json::json;
use stampede::Load;
use stampede::report::Report;
use stampede::scenario::Scenario;

use crate::support::http::Connection;
use crate::support::{
    App, Call, Engine, Options, Reply, User, booking, chance, is_consistent, load, others_changes_are_seen,
};

tests! {
    faults: [
        the_unique_key_has_the_last_word,
        without_the_unique_key_the_race_is_noticed,
        shrinking_never_oversells,
        a_booking_that_waited_for_a_shrink_is_decided_again,
        four_migrate_at_once,
        a_newer_database_is_refused,
        ids_are_never_used_twice,
    ]
}

/// 2035-06-01T18:30:00Z, when the shows of these tests start.
const SHOW_TIME: i64 = 2_064_335_400_000_000;

pub fn cancelling(user: &User, booking: i64) -> Call {
    Call::post(format!("/api/bookings/{booking}/cancel/")).bearer(&user.access)
}

/// One movie, one screen and one show, all with the id 1.
pub fn one_show(app: &App, total_seats: i64) {
    app.load(json!({
        "movies": [{"id": 1, "title": "The Long Take", "duration_minutes": 142}],
        "screens": [{"id": 1, "name": "Screen 1"}],
        "shows": [{"id": 1, "movie": 1, "screen": 1, "date_time": "2035-06-01T18:30:00Z", "total_seats": total_seats}],
    }));
}

/// A show's row, locked as another instance locks it while it writes.
pub enum Hold {
    Sqlite(rusqlite::Connection),
    Server(Box<mysql_async::Conn>),
}

impl Hold {
    pub async fn show_1(app: &App) -> Hold {
        if let Some(file) = app.database_url().strip_prefix("sqlite://") {
            let connection = rusqlite::Connection::open(file).expect("the file can be opened");
            connection.execute_batch("BEGIN IMMEDIATE").expect("the writer's lock can be taken");
            return Hold::Sqlite(connection);
        }
        let opts = mysql_async::Opts::from_url(app.database_url()).expect("well formed");
        let mut connection = mysql_async::Conn::new(opts).await.expect("the server answers");
        connection.query_drop("START TRANSACTION").await.expect("a transaction can be started");
        connection.query_drop("SELECT id FROM shows WHERE id = 1 FOR UPDATE").await.expect("the row can be locked");
        Hold::Server(Box::new(connection))
    }

    pub async fn release(self) {
        self.end_with(&["ROLLBACK"]).await;
    }

    /// Runs the statement as another instance that was first, and commits.
    pub async fn commit(self, sql: &str) {
        self.end_with(&[sql, "COMMIT"]).await;
    }

    async fn end_with(mut self, statements: &[&str]) {
        for sql in statements {
            match &mut self {
                Hold::Sqlite(connection) => connection.execute_batch(sql).expect("valid SQL"),
                Hold::Server(connection) => connection.query_drop(*sql).await.expect("valid SQL"),
            }
        }
    }
}

/// Returns how many statements like this the server is running for this test's database.
async fn waiting(app: &App, like: &str) -> usize {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()
         AND command <> 'Sleep' AND COALESCE(info, '') LIKE '{like}'"
    );
    app.sql(&sql).await[0][0].parse().expect("a number")
}

/// Waits until `count` bookings have been decided and wait to write.
pub async fn have_decided(app: &App, count: usize) {
    if app.engine == Engine::Sqlite {
        // Deciding takes a millisecond, and cannot be observed from outside. If this is too short, the test without
        // the unique key fails.
        return tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let began = Instant::now();
    while waiting(app, "UPDATE%seats_taken%").await < count {
        assert!(began.elapsed() < Duration::from_secs(4), "the bookings do not reach their write");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Two users book one free seat at two instances (within one instance, the desk decides); both find it free before
/// either may write. Returns stampede's report.
async fn both_decide_before_either_writes(engine: Engine, has_unique_key: bool) -> Report {
    let app = App::start_with(engine, Options { instances: 2, ..Options::default() }).await;
    one_show(&app, 50);
    let [ann, bob] = [app.customer("ann").await, app.customer("bob").await];
    // Let each instance reserve ids first, so that neither waits for new ones later.
    for (seat, base) in (1..).zip(app.bases()) {
        booking(&ann, 1, seat).send_to(&base).await.expect(201);
    }
    if !has_unique_key {
        let drop = match engine {
            Engine::Sqlite => "DROP INDEX one_holder_per_seat",
            // The foreign key needs an index that starts with its column.
            _ => "ALTER TABLE bookings ADD KEY bookings_of_a_show (show_id), DROP KEY one_holder_per_seat",
        };
        app.sql(drop).await;
    }
    let hold = Hold::show_1(&app).await;
    let release = async {
        have_decided(&app, 2).await;
        hold.release().await;
    };
    let scenario = Scenario::OnSale { contenders: 2, seats: Some(1), cancel_percent: 0 };
    let load = app.load_of(scenario, ann.id.cast_unsigned()..=bob.id.cast_unsigned());
    let (report, ()) = join!(load::run(Load { connections: 2, ..load }), release);
    if has_unique_key {
        is_consistent(&app).await;
        let rows = app.sql("SELECT COUNT(*) FROM bookings").await;
        assert_eq!(rows, [["3"]], "the loser leaves nothing behind");
    }
    report
}

async fn the_unique_key_has_the_last_word(engine: Engine) {
    let report = both_decide_before_either_writes(engine, true).await;
    assert_eq!([report.outcomes["201"], report.outcomes["409"]], [1, 1], "{report}");
    assert!(load::violations(&report).is_empty(), "{report}");
}

/// Proves that the test above, and the referee, would notice a race.
async fn without_the_unique_key_the_race_is_noticed(engine: Engine) {
    let report = both_decide_before_either_writes(engine, false).await;
    assert_eq!(report.outcomes["201"], 2, "{report}");
    assert!(load::violations(&report).contains(&"sold twice"), "{report}");
}

/// Opens the database like another instance of the program.
fn another_instance(app: &App) -> Db {
    let target = parse_database_url(app.database_url()).expect("well formed");
    Db::open(&target, 2).expect("the database can be opened")
}

fn show_with(total_seats: i64) -> ShowDraft {
    ShowDraft { movie_id: 1, screen_id: 1, date_time: SHOW_TIME, total_seats, ..ShowDraft::default() }
}

async fn shrinking_never_oversells(engine: Engine) {
    let app = App::start(engine).await;
    one_show(&app, 12);
    let mut customers = Vec::new();
    for n in 0..4 {
        customers.push(app.customer(&format!("customer{n}")).await);
    }
    let until = Instant::now() + Duration::from_secs(3);
    let other = another_instance(&app);
    let shrink_and_grow = async {
        let mut outcomes = [0, 0];
        while Instant::now() < until {
            for total_seats in [12, 9, 6, 3, 1] {
                let mut tx = other.begin().await.expect("a transaction can be started");
                match put_show(&mut tx, Some(1), show_with(total_seats)).await.expect("the show can be changed") {
                    PutOutcome::Done(_) => {
                        tx.commit().await.expect("the change can be committed");
                        outcomes[0] += 1;
                    }
                    PutOutcome::SeatTaken(seat) => {
                        assert!(seat > total_seats);
                        outcomes[1] += 1;
                    }
                }
                is_consistent(&app).await;
                tokio::time::sleep(Duration::from_millis(chance(5) as u64)).await;
            }
        }
        outcomes
    };
    let book_and_cancel = async |user: &User, first: i64| {
        let mut seen = BTreeMap::<u16, usize>::new();
        let mut connection = Connection::open(app.base()).await.expect("the server accepts");
        let mut seat = first;
        while Instant::now() < until {
            let reply = connection.send(booking(user, 1, seat)).await.expect("every booking is answered");
            *seen.entry(reply.status).or_default() += 1;
            if reply.status == 201 {
                let id = reply.json()["id"].as_i64().expect("an id");
                connection.send(cancelling(user, id)).await.expect("every cancel is answered").expect(200);
            } else {
                assert!([400, 409].contains(&reply.status), "{reply:?}");
            }
            seat = if seat > 2 { seat - 1 } else { 12 };
        }
        seen
    };
    let booking = join_all(customers.iter().zip([12, 11, 10, 9]).map(|(user, first)| book_and_cancel(user, first)));
    let ([changed, refused], seen) = join!(shrink_and_grow, booking);
    is_consistent(&app).await;
    let count = |status: u16| seen.iter().filter_map(|seen| seen.get(&status)).sum::<usize>();
    assert!(changed > 5 && refused > 0 && count(201) > 5 && count(400) > 5, "{changed} {refused} {seen:?}");
}

async fn a_booking_that_waited_for_a_shrink_is_decided_again(engine: Engine) {
    let app = App::start(engine).await;
    one_show(&app, 10);
    let ann = app.customer("ann").await;
    booking(&ann, 1, 1).send(&app).await.expect(201);
    let other = another_instance(&app);
    let shrink = async |total_seats: i64| {
        let mut tx = other.begin().await.expect("a transaction can be started");
        assert_eq!(put_show(&mut tx, Some(1), show_with(total_seats)).await, Ok(PutOutcome::Done(1)));
        tx
    };
    let tx = shrink(9).await;
    let commit = async {
        have_decided(&app, 1).await;
        tx.commit().await.expect("the change can be committed");
    };
    let (reply, ()) = join!(booking(&ann, 1, 10).send(&app), commit);
    let refused = json!({"seat_number": ["Ensure this value is less than or equal to 9."]});
    assert_eq!((reply.status, reply.json()), (400, refused));
    // After a rollback, nothing has changed for the waiting booking.
    let tx = shrink(5).await;
    let roll_back = async {
        have_decided(&app, 1).await;
        drop(tx);
    };
    let (reply, ()) = join!(booking(&ann, 1, 9).send(&app), roll_back);
    reply.expect(201);
    // The reverse: the booking comes first, and the shrink finds it.
    let mut tx = other.begin().await.expect("a transaction can be started");
    assert_eq!(put_show(&mut tx, Some(1), show_with(8)).await, Ok(PutOutcome::SeatTaken(9)));
    drop(tx);
    is_consistent(&app).await;
}

/// Tables, columns and keys, as the engine describes them.
async fn schema(app: &App, file: Option<&str>) -> Vec<Vec<String>> {
    if let Some(file) = file {
        let connection = rusqlite::Connection::open(file).expect("the file can be opened");
        let mut rows = connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").expect("valid SQL");
        let text = |row: &rusqlite::Row| Ok(vec![row.get(0)?, row.get::<_, Option<String>>(1)?.unwrap_or_default()]);
        return rows.query_map([], text).and_then(Iterator::collect).expect("the file can be read");
    }
    let columns = "SELECT table_name, column_name, column_type, is_nullable FROM information_schema.columns
         WHERE table_schema = DATABASE() ORDER BY 1, 2";
    let keys = "SELECT table_name, index_name, column_name, seq_in_index FROM information_schema.statistics
         WHERE table_schema = DATABASE() ORDER BY 1, 2, 4";
    [app.sql(columns).await, app.sql(keys).await].concat()
}

async fn four_migrate_at_once(engine: Engine) {
    let app = App::start_with(engine, Options { instances: 0, ..Options::default() }).await;
    if engine == Engine::Sqlite {
        app.succeed(&["migrate"]);
    }
    let file = app.database_url().strip_prefix("sqlite://");
    let expected = schema(&app, file).await;
    for round in 0..4 {
        let url = match file {
            Some(file) => format!("sqlite://{file}-{round}"),
            None => {
                let of_staff = ["admin_sessions", "admin_log", "group_members", "group_permissions", "staff_groups"];
                let of_seats = ["blocked_seats", "standing_blocks", "plans"];
                let tables = ["bookings", "orders", "shows", "screens", "movies", "users", "id_blocks", "own_keys"];
                for table in of_staff.into_iter().chain(of_seats).chain(tables).chain(["marquee_migrations"]) {
                    app.sql(&format!("DROP TABLE {table}")).await;
                }
                app.database_url().to_owned()
            }
        };
        let env = [("DATABASE_URL", url.as_str())];
        let outputs = std::thread::scope(|scope| {
            let start = || scope.spawn(|| app.marquee_with(&["migrate"], "", &env));
            let running = [start(), start(), start(), start()];
            running.map(|process| process.join().expect("it can be waited for"))
        });
        assert!(outputs.iter().all(|output| output.status.success()), "round {round}: {outputs:?}");
        let said =
            |text: &str| outputs.iter().filter(|output| String::from_utf8_lossy(&output.stdout).contains(text)).count();
        assert_eq!(said("Applied 0001_box_office"), 1, "one of them applies it: {outputs:?}");
        let checked = app.marquee_with(&["migrate", "--check"], "", &env);
        assert!(checked.status.success(), "{checked:?}");
        assert_eq!(schema(&app, url.strip_prefix("sqlite://")).await, expected);
        if file.is_none() {
            let ledger = app.sql("SELECT number, COUNT(*) FROM marquee_migrations GROUP BY number").await;
            assert!(ledger.iter().all(|row| row[1] == "1"), "{ledger:?}");
            assert_eq!(app.sql("SELECT name, next_id FROM id_blocks").await, [["bookings", "1"]]);
        }
    }
    if file.is_none() {
        // As after a crash between the last statement of each migration and its entry in the ledger.
        app.sql("DELETE FROM marquee_migrations WHERE number > 1").await;
        app.succeed(&["migrate", "--finish"]);
        assert_eq!(schema(&app, None).await, expected);
    }
}

async fn a_newer_database_is_refused(engine: Engine) {
    let app = App::start(engine).await;
    Call::get("/readyz").send(&app).await.expect(200);
    app.sql("INSERT INTO marquee_migrations (number, name, applied_at) VALUES (9999, '9999_from_the_future', 0)").await;
    // Running instances continue until they are replaced.
    others_changes_are_seen().await;
    Call::get("/readyz").send(&app).await.expect(200);
    for args in [["serve", "--bind", "127.0.0.1:0"].as_slice(), &["migrate"], &["migrate", "--check"], &["check"]] {
        let output = app.marquee(args);
        let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains("newer than this binary") && said.contains("9999"), "{args:?}: {said}");
    }
}

async fn ids_are_never_used_twice(engine: Engine) {
    let app = App::start(engine).await;
    one_show(&app, 50);
    let ann = app.customer("ann").await;
    let id = |reply: Reply| reply.expect(201).json()["id"].as_i64().expect("an id");
    let mut used = Vec::new();
    for seat in 1..=4 {
        used.push(id(booking(&ann, 1, seat).send(&app).await));
        match seat {
            1 => app.instance(0).kill9(),
            2 => assert!(app.instance(0).stop().await.success()),
            _ => drop(app.sql(&format!("DELETE FROM bookings WHERE id = {}", used[used.len() - 1])).await),
        }
        app.sql("UPDATE shows SET seats_taken = (SELECT COUNT(*) FROM bookings WHERE status = 'booked')").await;
        if seat != 3 {
            app.instance(0).restart().await;
        }
    }
    assert!(used.is_sorted_by(|one, next| one < next), "{used:?}");

    // Delete the newest row of each table and restart the server: the next row must get an id that was never used.
    let newest = async |table: &str| -> i64 {
        app.sql(&format!("SELECT MAX(id) FROM {table}")).await[0][0].parse().expect("the table has rows")
    };
    let load_one_more = |title: &str| {
        app.load(json!({
            "movies": [{"title": title, "duration_minutes": 90}],
            "screens": [{"name": title}],
            "shows": [{"movie": 1, "screen": 1, "date_time": "2035-06-02T18:30:00Z", "total_seats": 5}],
        }));
    };
    load_one_more("first");
    app.customer("bob").await;
    let tables = ["users", "movies", "screens", "shows"];
    let mut before = Vec::new();
    for table in tables {
        before.push(newest(table).await);
        app.sql(&format!("DELETE FROM {table} WHERE id = {}", before[before.len() - 1])).await;
    }
    app.instance(0).restart().await;
    load_one_more("second");
    app.customer("cyd").await;
    for (table, before) in tables.into_iter().zip(before) {
        let now = newest(table).await;
        assert!(now > before, "{table}: {now} came after {before}");
    }
}
