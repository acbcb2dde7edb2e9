//! The checksums of migrations.

use crate::support::{App, Engine, Options};

tests! {
    migrations: [
        edited_files_are_refused,
        older_ledgers_get_checksums,
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
    let last = app.sql("SELECT MAX(number) FROM marquee_migrations").await.concat().concat();
    app.sql(&format!("DELETE FROM marquee_migrations WHERE number = {last}")).await;
    assert_eq!(app.marquee(&["serve", "--migrate", "--bind", "127.0.0.1:0"]).status.code(), Some(1));
    assert_ne!(app.sql("SELECT MAX(number) FROM marquee_migrations").await.concat().concat(), last);
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
