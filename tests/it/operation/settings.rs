//! Settings, `.env` files, usage messages, and the schema.

use std::fs;

use serde_json::Value;

use super::command_line::{Place, SECRET, run};
use crate::support::{App, Call, Engine};

tests! {
    command_line: [
        usage once,
        all_errors_of_the_settings_are_reported_together once,
        env_files once,
        openapi,
    ]
}

async fn usage() {
    let place = Place::empty();
    let help = place.run(&["--help"]).exits(0);
    let commands: Vec<&str> = help
        .out
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?.split(' ').next())
        .collect();
    for command in ["serve", "migrate", "createsuperuser", "loaddata", "check", "openapi"] {
        assert!(commands.contains(&command), "{commands:?}");
    }
    assert!(help.out.contains("Exit codes: 0 done; 1"), "{}", help.out);
    for command in commands.into_iter().filter(|command| *command != "help") {
        let help = place.run(&[command, "--help"]).exits(0);
        assert!(help.out.contains(&format!("Usage: marquee {command}")), "{}", help.out);
        // Every option and argument is explained, on its own line or the next.
        let mut lines = help.out.lines().map(str::trim_end);
        while let Some(line) = lines.next() {
            let is_entry = line.starts_with("  ") && line.trim_start().starts_with(['-', '<']);
            let explained =
                line.trim_start().contains("  ") || lines.clone().next().is_some_and(|next| !next.is_empty());
            assert!(!is_entry || explained, "{command}: {line}\n{}", help.out);
        }
    }
    place.run(&["--version"]).exits(0).says(&[env!("CARGO_PKG_VERSION")]);
    for wrong in [&[][..], &["nope"], &["serve", "--nope"], &["migrate", "now"]] {
        place.run(wrong).exits(2).says(&["Usage: marquee"]);
    }
    place.run(&["serve", "--bind", "here"]).exits(2).says(&["--bind <ADDRESS:PORT>", "--help"]);
    assert_eq!(fs::read_dir(place.directory.path()).expect("a directory").count(), 0, "nothing was left behind");
}

async fn all_errors_of_the_settings_are_reported_together() {
    let mut place = Place::empty();
    place.set("SECRET_KEY", SECRET);
    place.set("DATABASE_URL", "foo://user:hunter2hunter2@host/name");
    let wrong = [
        ("DEBUG", "perhaps"),
        ("ALLOWED_HOSTS", ""),
        ("DATABASE_CONNECTIONS", "0"),
        ("ACCESS_TOKEN_LIFETIME_HOURS", "soon"),
        ("BIND", "here"),
        ("TIME_ZONE", "Mars/Olympus"),
        ("LOG_FORMAT", "xml"),
        ("CORS_ALLOWED_ORIGINS", "*"),
        ("MAX_BODY_BYTES", "-1"),
    ];
    for (name, value) in wrong {
        place.set(name, value);
    }
    let names: Vec<&str> = wrong.iter().map(|(name, _)| *name).chain(["DATABASE_URL"]).collect();
    for command in [&["serve"][..], &["serve", "--demo"], &["migrate"], &["check"], &["load-sample-data"]] {
        place.run(command).exits(2).says(&names).never_says(&[SECRET, "hunter2"]);
    }
    place.run(&["openapi"]).exits(0);
    assert_eq!(fs::read_dir(place.directory.path()).expect("a directory").count(), 0, "nothing was touched");
}

async fn env_files() {
    let mut place = Place::empty();
    place.write(".env", "SECRET_KEY='with $pecial # signs'\nDEBUG=on\nDATABASE_URL=sqlite://one.sqlite3\n");
    place.write("other.env", format!("SECRET_KEY={SECRET}\nDATABASE_URL=sqlite://two.sqlite3\n"));
    place.run(&["migrate"]).exits(0);
    assert!(place.path("one.sqlite3").exists());
    place.run(&["check"]).exits(1).says(&["WRONG DEBUG", "WRONG SECRET_KEY is weak"]).never_says(&["pecial"]);
    place.run(&["--env-file", "other.env", "migrate"]).exits(0).says(&["Applied"]);
    assert!(place.path("two.sqlite3").exists());
    place.run(&["check", "--env-file", "other.env"]).exits(0);
    place.run(&["check", "--env-file", "missing.env"]).exits(2).says(&["missing.env"]);
    place.set("MARQUEE_ENV_FILE", "other.env");
    place.run(&["check"]).exits(0);
    // Lines that have no effect or must be mistakes: `check` fails, `serve` warns and continues.
    place.write(
        "odd.env",
        format!(
            "SECRET_KEY={SECRET}\nDATABASE_URL=sqlite://two.sqlite3\nALOWED_HOSTS=x\nhunter2\nEMAIL_HOST=y\n\
             HOLD_MINUTES=60\nHOLD_LIMIT_MINUTES=10\n"
        ),
    );
    let odd = [
        "ALOWED_HOSTS in the .env file is not a setting; did you mean ALLOWED_HOSTS?",
        "line 4 of the .env file has no =",
        "HOLD_MINUTES is more than HOLD_LIMIT_MINUTES",
    ];
    let check = place.run(&["--env-file", "odd.env", "check"]).exits(1).says(&odd).never_says(&["hunter2"]);
    check.says(&["note  these names in the .env file are not settings of Marquee: EMAIL_HOST", "3 problems found."]);
    let server = place.serve(&["--env-file", "odd.env"]).await;
    let log = fs::read_to_string(&server.log).expect("a log");
    server.stop().await;
    assert!(odd.iter().all(|text| log.contains(text)) && !log.contains("hunter2"), "{log}");
    // All settings are printed, but no secret.
    place
        .write("secret.env", format!("SECRET_KEY={SECRET}\nDATABASE_URL=mysql://u:hunter2@h/n\nDB_PASSWORD=hunter2\n"));
    place.set("HOLD_MINUTES", "7");
    let settings = place.run(&["--env-file", "secret.env", "settings"]).exits(0).never_says(&[SECRET, "hunter2"]);
    settings.says(&[
        "SECRET_KEY=(set, not shown)  (.env)",
        "DATABASE_URL=mysql://(not shown)@h/n  (.env)",
        "HOLD_MINUTES=7  (environment)",
        "HOLDS_PER_USER=4  (default)",
        "SEATS_PER_USER  (not set)",
        "secret.env",
    ]);
    place.unset("HOLD_MINUTES");
    // The environment wins.
    place.set("DEBUG", "1");
    place.run(&["check"]).exits(1).says(&["WRONG DEBUG", "ok    SECRET_KEY"]);
}

async fn openapi(engine: Engine) {
    let app = App::start(engine).await;
    let printed = run(&app, &["openapi"]).exits(0).out;
    let printed: Value = serde_json::from_str(&printed).expect("the schema is JSON");
    assert_eq!(printed, Call::get("/api/schema/").send(&app).await.expect(200).json());
    let yaml = run(&app, &["openapi", "--yaml"]).exits(0).out;
    assert_eq!(yaml.trim_end(), Call::get("/api/schema/?format=yaml").send(&app).await.expect(200).text.trim_end());
    assert!(yaml.starts_with("openapi: "), "{}", &yaml[..50]);
}
