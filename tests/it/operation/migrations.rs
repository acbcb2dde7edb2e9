//! The checksums of migrations.

use crate::support::{App, Engine, Options};

tests! {
    migrations: [
        edited_files_are_refused,
        former_texts_are_known,
        older_ledgers_get_checksums,
        some_wait_for_the_end_of_an_upgrade,
    ]
}

async fn migrated(engine: Engine) -> App {
    let app = App::start_with(engine, Options { instances: 0, ..Options::default() }).await;
    app.succeed(&["migrate"]);
    app
}

async fn edited_files_are_refused(engine: Engine) {
    let app = migrated(engine).await;
    app.succeed(&["migrate", "--check"]);
    app.sql("UPDATE marquee_migrations SET checksum = 'of another text' WHERE number IN (3, 5)").await;
    for args in [["migrate"].as_slice(), &["migrate", "--check"], &["check"]] {
        let output = app.marquee(args);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).expect("UTF-8");
        let advice = "The migrations 0003_orders, 0005_indexes were edited after they were applied";
        assert!(output.status.code() == Some(1) && said.contains(advice), "{args:?}: {said}");
    }
    // An edited file is found before anything is applied after it.
    app.sql("DELETE FROM marquee_migrations WHERE number >= 9").await;
    assert_eq!(app.marquee(&["serve", "--migrate", "--bind", "127.0.0.1:0"]).status.code(), Some(1));
    assert_eq!(app.sql("SELECT MAX(number) FROM marquee_migrations").await.concat(), ["8"]);
}

/// The first text of 0009 took hours on a large MariaDB. A database that it has changed is as good as any.
async fn former_texts_are_known(engine: Engine) {
    let app = migrated(engine).await;
    let former = "ac7237170f28644025a4dc659ea348f2ded34722a9bd9f6e78342fd33f1d121d";
    app.sql(&format!("UPDATE marquee_migrations SET checksum = '{former}' WHERE number = 9")).await;
    app.succeed(&["migrate", "--check"]);
    app.sql(&format!("UPDATE marquee_migrations SET checksum = '{former}' WHERE number = 8")).await;
    assert_eq!(app.marquee(&["migrate", "--check"]).status.code(), Some(1));
}

/// A migration that removes something waits for the operator, unless the database is new.
async fn some_wait_for_the_end_of_an_upgrade(engine: Engine) {
    let app = App::start_with(engine, Options { instances: 0, ..Options::default() }).await;
    let said = |args: &[&str]| String::from_utf8(app.succeed(args).stdout).expect("UTF-8");
    app.succeed(&["migrate"]);
    let last = "SELECT name FROM marquee_migrations WHERE number IN (10, 12) ORDER BY number";
    let names = ["0010_drop_old_indexes", "0012_drop_holds_by_user"];
    assert_eq!(app.sql(last).await.concat(), names, "a new database is finished");
    // As an upgrade from the version before it would find the database.
    for sql in [
        "DELETE FROM marquee_migrations WHERE number IN (10, 12)",
        "CREATE INDEX bookings_of_a_user_by_show ON bookings (user_id, show_id)",
        "CREATE INDEX holds_of_a_user ON orders (user_id, expires_at)",
        "CREATE INDEX holds_of_a_show ON orders (show_id, expires_at)",
        "CREATE INDEX holds_by_end ON orders (expires_at, created_at)",
        "CREATE INDEX holds_by_user ON orders (held_by, expires_at)",
    ] {
        app.sql(sql).await;
    }
    if engine != Engine::Sqlite {
        for (key, column, table) in [("show", "show_id", "shows"), ("user", "user_id", "users")] {
            let key = format!("CONSTRAINT orders_have_a_{key} FOREIGN KEY ({column}) REFERENCES {table} (id)");
            app.sql(&format!("ALTER TABLE orders ADD {key}")).await;
        }
    }
    let advice = "0010_drop_old_indexes, 0012_drop_holds_by_user wait until no earlier version runs: \
                  run `marquee migrate --finish`";
    let waits = said(&["migrate"]);
    assert!(waits.contains("The database is up to date.") && waits.contains(advice), "{waits}");
    app.succeed(&["migrate", "--check"]);
    assert!(said(&["check"]).contains(advice));
    assert_eq!(app.sql(last).await.len(), 0);
    assert!(said(&["migrate", "--finish"]).contains("Applied 0012_drop_holds_by_user."));
    assert!(said(&["migrate", "--finish"]).contains("The database is up to date."));
    assert!(!said(&["check"]).contains("no earlier version"));
}

/// Several instances may migrate at the same time, as in a rolling update.
async fn older_ledgers_get_checksums(engine: Engine) {
    let app = migrated(engine).await;
    let checksums = "SELECT number, checksum FROM marquee_migrations WHERE number > 0 ORDER BY number";
    let expected = app.sql(checksums).await;
    assert!(expected.iter().all(|row| row[1].len() == 64), "{expected:?}");
    for sql in [
        "ALTER TABLE marquee_migrations DROP COLUMN checksum",
        "DELETE FROM marquee_migrations WHERE number = 8",
        "DROP TABLE jobs",
    ] {
        app.sql(sql).await;
    }
    let outputs = std::thread::scope(|scope| {
        let start = || scope.spawn(|| app.marquee(&["migrate"]));
        [start(), start(), start(), start()].map(|process| process.join().expect("it can be waited for"))
    });
    assert!(outputs.iter().all(|output| output.status.success()), "{outputs:?}");
    assert_eq!(app.sql(checksums).await, expected);
    app.succeed(&["migrate", "--check"]);
}
