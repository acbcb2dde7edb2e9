use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;

use secrecy::ExposeSecret;

use super::*;

/// Loads the configuration from an empty environment and this `.env`.
fn load(decouple: &str) -> Result<Config, Vec<Fault>> {
    Config::load(|_| None, decouple)
}

/// Returns the faults of this `.env`, one per line.
fn faults(decouple: &str) -> String {
    let faults = load(decouple).expect_err(decouple);
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

#[test]
fn an_empty_environment_gives_the_defaults() {
    let config = load("").expect("defaults are valid");
    assert!(config.secret_key.is_none());
    assert!(!config.debug);
    assert_eq!(config.allowed_hosts, ["localhost", "127.0.0.1"]);
    let DatabaseTarget::Sqlite { path } = config.database else {
        panic!("SQLite by default");
    };
    assert_eq!(path, PathBuf::from("data/marquee.sqlite3"));
    assert_eq!((config.database_connections, config.desk_lanes), (32, 2));
    assert_eq!(config.access_token_lifetime.as_secs(), 3_600);
    assert_eq!(config.refresh_token_lifetime.as_secs(), 7 * 86_400);
    assert_eq!(config.bind.to_string(), "127.0.0.1:8000");
    assert_eq!(config.time_zone.iana_name(), Some("UTC"));
    assert_eq!(config.business_day_starts_at, jiff::civil::time(5, 0, 0, 0));
    assert_eq!(config.cinema_name, "Marquee");
    assert_eq!(config.currency.code(), "EUR");
    assert_eq!(config.log_format, LogFormat::Human);
    assert_eq!(config.log_level, "info");
    assert!(config.cors_allowed_origins.is_empty());
    assert_eq!(config.trusted_proxies, 0);
    assert_eq!(config.max_connections, 10_000);
    assert_eq!(config.request_timeout.as_secs(), 30);
    assert_eq!(config.max_body_bytes, 1 << 20);
    assert_eq!(config.login_failures_per_account, 10);
    assert_eq!(config.login_failures_per_address, 100);
    assert_eq!(config.login_failure_window.as_secs(), 300);
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.turnaround, 15 * MINUTE);
}

#[test]
fn a_django_env_file_works_unchanged() {
    let config = load(
        "# Django\nSECRET_KEY='django-insecure-a$b#c=d\\e%20'\nDEBUG=True\r\n\
         ALLOWED_HOSTS=Cinema.example, .tickets.example\n\n\
         DB_ENGINE=django.db.backends.mysql\nDB_NAME=booking\nDB_USER=root\n\
         DB_PASSWORD=p@ss#\"w$rd\nDB_HOST=db\nDB_PORT=3307\n\
         ACCESS_TOKEN_LIFETIME_HOURS=2\nREFRESH_TOKEN_LIFETIME_DAYS=14\nEMAIL_HOST=elsewhere\n",
    )
    .expect("valid");
    let key = config.secret_key.expect("given");
    assert_eq!(key.expose_secret(), "django-insecure-a$b#c=d\\e%20");
    assert!(config.debug);
    assert_eq!(config.allowed_hosts, ["cinema.example", ".tickets.example"]);
    assert_eq!(config.access_token_lifetime.as_secs(), 2 * 3_600);
    assert_eq!(config.refresh_token_lifetime.as_secs(), 14 * 86_400);
    let DatabaseTarget::Mysql { hosts, user, password, name, tls } = config.database else {
        panic!("MySQL");
    };
    assert_eq!((hosts[0].to_string().as_str(), hosts.len(), user.as_str()), ("db:3307", 1, "root"));
    assert_eq!(password.expose_secret(), "p@ss#\"w$rd");
    assert_eq!((name.as_str(), tls), ("booking", TlsMode::Preferred));
}

#[test]
fn the_database_comes_from_its_url_else_the_db_variables() {
    for (decouple, expected) in [
        ("DATABASE_URL=sqlite://a.db\nDB_ENGINE=mysql\nDB_PORT=x", "a.db"),
        ("DATABASE_URL=\nDB_ENGINE=sqlite\nDB_NAME=b.db", "b.db"),
        ("DB_ENGINE=django.db.backends.sqlite3\nDB_NAME=/c d.db", "/c d.db"),
        ("DB_ENGINE=MySQL\nDB_USER=u\nDB_NAME=n", "localhost:3306 Disabled"),
        ("DB_ENGINE=mariadb\nDB_USER=u\nDB_NAME=n\nDB_HOST=\nDB_PORT=", "localhost:3306 Disabled"),
        ("DB_ENGINE=mysql\nDB_USER=u\nDB_NAME=n\nDB_HOST=::1\nDB_PORT=1", "[::1]:1 Disabled"),
        ("DB_ENGINE=mysql\nDB_USER=u\nDB_NAME=n\nDB_HOST=db", "db:3306 Preferred"),
        ("DB_ENGINE=mysql\nDB_USER=u\nDB_NAME=n\nDB_HOST=::1,db:33\nDB_PORT=1", "[::1]:1,db:33 Preferred"),
        ("DB_ENGINE=\nDB_NAME=\nDB_HOST=", "data/marquee.sqlite3"),
    ] {
        let seen = match load(decouple).expect(decouple).database {
            DatabaseTarget::Sqlite { path } => path.display().to_string(),
            DatabaseTarget::Mysql { hosts, tls, .. } => {
                let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
                format!("{} {tls:?}", hosts.join(","))
            }
        };
        assert_eq!(seen, expected, "{decouple}");
    }
}

#[test]
fn the_environment_takes_precedence_even_if_empty() {
    let env = |name: &str| match name {
        "LOG_LEVEL" => Some("warn".to_owned()),
        "SECRET_KEY" => Some(String::new()),
        "DB_NAME" => Some(" from env ".to_owned()),
        _ => None,
    };
    let decouple = "LOG_LEVEL=debug\nSECRET_KEY=x\nDB_ENGINE=sqlite\nDB_NAME=y\nBIND=[::1]:0";
    let config = Config::load(env, decouple).expect("valid");
    assert_eq!(config.log_level, "warn");
    assert!(config.secret_key.is_none());
    assert_eq!(config.bind.to_string(), "[::1]:0");
    let DatabaseTarget::Sqlite { path } = config.database else {
        panic!("SQLite");
    };
    assert_eq!(path, PathBuf::from(" from env "));
}

#[test]
fn all_faults_are_reported_with_name_and_accepted_values() {
    let report = faults(
        "SECRET_KEY=hunter2\nDEBUG=maybe\nALLOWED_HOSTS='a\nDATABASE_URL=mysql://u:hunter2@/\n\
         DATABASE_CONNECTIONS=0\nDESK_LANES=17\nACCESS_TOKEN_LIFETIME_HOURS=-1\nREFRESH_TOKEN_LIFETIME_DAYS=\n\
         BIND=localhost:8000\nTIME_ZONE=Mars/Base\nLOG_FORMAT=xml\nLOG_LEVEL=inof\n\
         CORS_ALLOWED_ORIGINS=*,example.com\nTRUSTED_PROXIES=11\nMAX_CONNECTIONS=many\n\
         REQUEST_TIMEOUT_SECONDS=1.5\nMAX_BODY_BYTES=99999999999999999999\n\
         LOGIN_FAILURES_PER_ACCOUNT=0\nLOGIN_FAILURES_PER_ADDRESS=0\n\
         LOGIN_FAILURE_WINDOW_SECONDS=0\n",
    );
    let names: Vec<_> = report.lines().map(|line| line.split_once(": ").expect("a name").0).collect();
    assert_eq!(
        names,
        [
            "DEBUG",
            "ALLOWED_HOSTS",
            "DATABASE_URL",
            "DATABASE_CONNECTIONS",
            "DESK_LANES",
            "ACCESS_TOKEN_LIFETIME_HOURS",
            "REFRESH_TOKEN_LIFETIME_DAYS",
            "BIND",
            "TIME_ZONE",
            "LOG_FORMAT",
            "LOG_LEVEL",
            "CORS_ALLOWED_ORIGINS",
            "CORS_ALLOWED_ORIGINS",
            "TRUSTED_PROXIES",
            "MAX_CONNECTIONS",
            "REQUEST_TIMEOUT_SECONDS",
            "MAX_BODY_BYTES",
            "LOGIN_FAILURES_PER_ACCOUNT",
            "LOGIN_FAILURES_PER_ADDRESS",
            "LOGIN_FAILURE_WINDOW_SECONDS",
        ]
    );
    assert!(report.lines().all(|line| line.contains("; accepted: ")));
    assert!(report.contains("TRUSTED_PROXIES: \"11\" is not valid; accepted: a whole number from 0 to 10\n"));
    assert!(!report.contains("hunter2"), "{report}");
}

#[test]
fn faults_of_the_db_variables() {
    for (decouple, expected) in [
        ("DB_NAME=x\nDB_PORT=1", "DB_ENGINE: it is missing, but DB_NAME is set"),
        ("DB_ENGINE=django.db.backends.oracle", "DB_ENGINE: \"django.db.backends.oracle\" is not"),
        ("DB_ENGINE=Django.db.backends.mysql", "DB_ENGINE: "),
        ("DB_ENGINE=sqlite", "DB_NAME: the path"),
        ("DB_ENGINE=sqlite\nDB_NAME=:memory:", "DB_NAME: an SQLite database must be"),
        ("DB_ENGINE=mysql\nDB_NAME=n", "DB_USER: it is missing"),
        ("DB_ENGINE=mysql\nDB_USER=u", "DB_NAME: it is missing"),
        ("DB_ENGINE=mysql\nDB_USER=u\nDB_NAME=n\nDB_PORT=65536", "DB_PORT: \"65536\" is not"),
        ("DB_ENGINE=mysql\nDB_USER=u\nDB_NAME=n\nDB_HOST=/run/my.sock", "DB_HOST: "),
    ] {
        let report = faults(decouple);
        assert!(report.starts_with(expected), "{decouple}: {report}");
        assert_eq!(report.lines().count(), 1, "{decouple}: {report}");
    }
}

#[test]
fn a_name_that_decouple_would_miss_is_a_fault() {
    for decouple in ["\u{feff}SECRET_KEY=a", "export SECRET_KEY=a", "\u{feff}export\tSECRET_KEY = a"] {
        let report = faults(decouple);
        assert!(report.starts_with("SECRET_KEY: "), "{report}");
    }
    // A shell that reads the `export` line puts the variable into the environment.
    let env = |name: &str| (name == "SECRET_KEY").then(|| "a".to_owned());
    assert!(Config::load(env, "export SECRET_KEY=a").is_ok());
    assert!(load("\u{feff}# comment\nEXPORT_DEBUG=maybe\nexport OTHER=1").is_ok());
}

#[test]
fn a_long_value_is_cut_in_the_fault() {
    let report = faults(&format!("BIND={}", "ä".repeat(10_000)));
    assert!(report.len() < 400, "{report}");
}

#[test]
fn hosts_are_allowed_by_djangos_rule() {
    let allowed = |patterns: &str, host: &str| {
        let decouple = format!("ALLOWED_HOSTS={patterns}");
        load(&decouple).expect(&decouple).host_allowed(host)
    };
    for (patterns, host) in [
        ("a.example", "a.example"),
        ("A.Example", "a.eXAMPLE:8000"),
        ("a.example", "a.example."),
        ("a.example", "a.example.:80"),
        (".example", "example"),
        (".example", "a.b.example"),
        ("[::1]", "[::1]"),
        ("[::1]", "[::1]:8000"),
        ("*", "anything.at-all"),
        ("*", "[::ffff:1.2.3.4]:1"),
        ("x, *", "y"),
    ] {
        assert!(allowed(patterns, host), "{patterns} {host}");
    }
    for (patterns, host) in [
        ("a.example", "b.a.example"),
        ("a.example", "a.example.."),
        (".example", "badexample"),
        (".example", ".example.evil"),
        ("[::1]", "::1"),
        ("*", ""),
        ("*", "."),
        ("*", ":80"),
        ("*", "a b"),
        ("*", "a_b"),
        ("*", "a:"),
        ("*", "a:80:80"),
        ("*", "a:8x"),
        ("*", "a:٣"),
        ("*", "ä"),
        ("*", "\u{212a}"),
        ("*", "user@a"),
        ("*", "a/b"),
        ("*", "a\n"),
        ("*", "[::1"),
        ("*", "[1]"),
        ("*", "[:]"),
        ("*", "[::1]x"),
        ("*", "[::g]"),
        ("*", "[::1].:1"),
    ] {
        assert!(!allowed(patterns, host), "{patterns} {host}");
    }
}

#[test]
fn impossible_hosts_are_refused_with_a_suggestion() {
    for (written, expected) in [
        ("localhost 127.0.0.1", "\"localhost 127.0.0.1\" is not a host name: write localhost,127.0.0.1;"),
        ("localhost;a.example", "write localhost,a.example;"),
        ("['localhost','127.0.0.1']", "\"[localhost\" is not a host name: write localhost;"),
        ("['localhost','127.0.0.1']", "\"127.0.0.1]\" is not a host name: write 127.0.0.1;"),
        ("['localhost']", "write localhost;"),
        ("('a.example',)", "write a.example;"),
        ("http://localhost:8000", "write localhost;"),
        ("https://tickets.example.com/", "write tickets.example.com;"),
        ("localhost:8000", "write localhost;"),
        ("localhost/", "write localhost;"),
        ("[::1]:8000", "write [::1];"),
        ("::1", "write [::1];"),
        ("http://[::1]:8000/", "write [::1];"),
        ("*.example.com", "write .example.com;"),
        ("*.example.com:443", "write .example.com;"),
        ("tickets.example.", "write tickets.example;"),
        ("kino-köln.de", "write xn--kino-kln-s4a.de;"),
        (".Kino-Köln.de", "write .xn--kino-kln-s4a.de;"),
        ("marquee_web", "\"marquee_web\" is not a host name, because host names cannot contain an underscore;"),
        ("a..b", "\"a..b\" is not a host name;"),
        (".", "\".\" is not a host name;"),
        ("www.*.example", "is not a host name;"),
        ("[::g]", "is not a host name;"),
        ("'',", "\"\" is not a host name;"),
    ] {
        let report = faults(&format!("ALLOWED_HOSTS={written}"));
        assert!(report.contains(expected) && report.contains("ALLOWED_HOSTS: "), "{written}: {report}");
    }
    for written in
        ["localhost,127.0.0.1", "*", ".example.com", "A-b.Example", "[::1]", "[2001:DB8::1],x", "xn--kino-kln-s4a.de"]
    {
        load(&format!("ALLOWED_HOSTS={written}")).expect(written);
    }
}

#[test]
fn an_empty_host_list_is_for_developers_only() {
    let config = load("DEBUG=1\nALLOWED_HOSTS=").expect("valid");
    for host in ["localhost:8000", "a.localhost", "127.0.0.1", "[::1]:1"] {
        assert!(config.host_allowed(host), "{host}");
    }
    assert!(!config.host_allowed("example.com"));
    assert!(faults("ALLOWED_HOSTS=").starts_with("ALLOWED_HOSTS: the list is empty"));
    let report = faults("ALLOWED_HOSTS=\"");
    assert_eq!(report.lines().count(), 1, "{report}");
}

#[test]
fn origins_are_written_as_browsers_write_them() {
    let config = load(
        "CORS_ALLOWED_ORIGINS=https://Tickets.Example, http://localhost:3000,https://a.example:443,\
         http://[::1]:80,capacitor://localhost",
    )
    .expect("valid");
    assert_eq!(
        config.cors_allowed_origins,
        [
            "https://tickets.example",
            "http://localhost:3000",
            "https://a.example",
            "http://[::1]",
            "capacitor://localhost",
        ]
    );
    for origin in [
        "*",
        "null",
        "'',",
        "example.com",
        "https://",
        "https://*.example",
        "https://a.example/",
        "https://a.example/path",
        "https://a.example?x",
        "https://u:p@a.example",
        "https://a.example:x",
        "https://a b",
        "https:\\\\\\\\a.example",
    ] {
        let report = faults(&format!("CORS_ALLOWED_ORIGINS={origin}"));
        assert!(report.starts_with("CORS_ALLOWED_ORIGINS: "), "{report}");
    }
}

#[test]
fn log_levels() {
    for level in ["trace", "OFF", "warn,marquee=debug", "marquee::booking=info,hyper-util=error"] {
        let config = load(&format!("LOG_LEVEL={level}")).expect(level);
        assert_eq!(config.log_level, level);
    }
    for level in ["", "inof", "info,", "marquee=", "=info", "a b=info", "info, warn"] {
        assert!(faults(&format!("LOG_LEVEL='{level}'")).starts_with("LOG_LEVEL: "), "{level}");
    }
}

#[test]
fn time_zones() {
    for zone in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"] {
        let config = load(&format!("TIME_ZONE={zone}")).expect(zone);
        assert_eq!(config.time_zone.iana_name(), Some(zone));
    }
    for zone in ["", "Berlin", "Etc/Unknown", "../../etc/passwd", "CET-1CEST,M3.5.0,M10.5.0/3"] {
        assert!(faults(&format!("TIME_ZONE={zone}")).starts_with("TIME_ZONE: "), "{zone}");
    }
}

#[test]
fn business_days_begin_in_the_morning() {
    for (text, hour, minute) in [("00:00", 0, 0), ("04:30", 4, 30), ("11:59", 11, 59)] {
        let config = load(&format!("BUSINESS_DAY_STARTS_AT={text}")).expect(text);
        assert_eq!(config.business_days().starts_at, jiff::civil::time(hour, minute, 0, 0), "{text}");
    }
    for text in ["", "5", "5:00", "05:60", "05:00:00", "12:00", "24:00", "-1:00", "+5:00", "05.00", "5 am"] {
        assert!(faults(&format!("BUSINESS_DAY_STARTS_AT={text}")).starts_with("BUSINESS_DAY_STARTS_AT: "), "{text}");
    }
}

#[test]
fn debug_output_hides_the_secrets() {
    let config = load("SECRET_KEY=hunter2\nDATABASE_URL=mysql://u:hunter2@db/n").expect("valid");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_named_env_file_must_be_readable() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("marquee.env");
    let faults = Config::from_process(Some(&path)).expect_err("no file");
    assert_eq!(faults[0].variable, path.display().to_string());
    std::fs::write(&path, b"TRUSTED_PROXIES=11\nDB_PASSWORD=hunter2\xff").expect("written");
    let faults = Config::from_process(Some(&path)).expect_err("not UTF-8");
    assert_eq!(faults[0].variable, path.display().to_string());
    assert!(!faults[0].problem.contains("hunter2"));
    std::fs::write(&path, "TRUSTED_PROXIES=11").expect("written");
    let faults = Config::from_process(Some(&path)).expect_err("too many");
    assert_eq!(faults[0].variable, "TRUSTED_PROXIES");
}

#[test]
fn the_table_and_the_reader_have_the_same_names() {
    let asked = RefCell::new(BTreeSet::new());
    let env = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        // These values make the reader enter every branch for the database.
        let value = match name {
            "DB_ENGINE" => "mysql",
            "DB_PORT" => "3306",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let faults = Config::load(env, "").expect_err("no DB_NAME");
    assert_eq!(faults.len(), 2);
    let mut names = BTreeSet::new();
    for setting in SETTINGS {
        assert!(names.insert(setting.name.to_owned()), "{} twice", setting.name);
    }
    assert_eq!(*asked.borrow(), names);
}

proptest::proptest! {
    #[test]
    fn no_value_panics(
        setting in 0..SETTINGS.len(),
        value in ".*",
        host in "[a:0-9.\\[\\]]*|.*",
    ) {
        let env = |name: &str| (name == SETTINGS[setting].name).then(|| value.clone());
        if let Ok(config) = Config::load(env, &value) {
            config.host_allowed(&host);
        }
    }
}

/// Renders `.env.example` from the table: a comment for each setting, and the setting itself,
/// commented out, with its default or an example.
fn env_example() -> String {
    let mut text = String::from(
        "# The settings of Marquee. Copy this file to .env and remove the # before a setting to\n\
         # change it. The process environment takes precedence over .env; MARQUEE_ENV_FILE or\n\
         # --env-file names another file. A value is taken literally, up to the end of the line: $, #\n\
         # and \\ have no special meaning, and one pair of quotes around it is removed.\n",
    );
    for setting in SETTINGS {
        text.push('\n');
        let accepted = format!("Accepted: {}.", setting.accepts);
        for paragraph in [setting.meaning, &accepted] {
            let mut line = String::from("#");
            for word in paragraph.split_whitespace() {
                if line.chars().count() + word.chars().count() >= 96 {
                    text.push_str(&line);
                    text.push('\n');
                    line = String::from("#");
                }
                line.push(' ');
                line.push_str(word);
            }
            text.push_str(&line);
            text.push('\n');
        }
        let value = setting.default.unwrap_or(setting.example);
        text.push_str(&format!("#{}={value}\n", setting.name));
    }
    text
}

/// Renders the table of the README.
fn readme_table() -> String {
    let mut text = String::from("| variable | meaning | accepted | default |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        let default = match setting.default {
            Some("") | None => "none".to_owned(),
            Some(value) => format!("`{value}`"),
        };
        let cells = [setting.meaning.to_owned(), setting.accepts.to_string()]
            .map(|cell| cell.replace('*', "\\*").replace('|', "\\|"));
        text.push_str(&format!("| `{}` | {} | {} | {default} |\n", setting.name, cells[0], cells[1]));
    }
    text
}

/// Run with `MARQUEE_BLESS=1` to rewrite both files from the table.
#[test]
fn the_documents_show_the_table() {
    const BEGIN: &str = "<!-- settings: begin -->\n";
    const END: &str = "<!-- settings: end -->";
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).expect("README.md");
    let (head, rest) = readme.split_once(BEGIN).expect("the begin mark");
    let (_, tail) = rest.split_once(END).expect("the end mark");
    let expected =
        [(".env.example", env_example()), ("README.md", format!("{head}{BEGIN}{}{END}{tail}", readme_table()))];
    for (file, expected) in expected {
        let path = root.join(file);
        if std::env::var_os("MARQUEE_BLESS").is_some() {
            std::fs::write(&path, &expected).expect("writable");
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(text == expected, "{file} differs from SETTINGS; MARQUEE_BLESS=1 rewrites it");
    }
}

#[test]
fn the_example_file_is_valid_with_every_setting_switched_on() {
    load(&env_example()).expect("valid as it is");
    let settings: Vec<_> = env_example()
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| !line.starts_with(' '))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(settings.len(), SETTINGS.len());
    load(&settings.concat()).expect("valid");
    let without_url: String = settings.into_iter().filter(|line| !line.starts_with("DATABASE_URL")).collect();
    let config = load(&without_url).expect("valid");
    assert!(matches!(config.database, DatabaseTarget::Mysql { .. }));
}

#[test]
fn the_cinemas_own_settings_are_read() {
    let config = load("").expect("valid");
    assert_eq!((config.cinema_name.as_str(), config.public_url), ("Marquee", None));
    assert_eq!(config.business_day_starts_at.to_string(), "05:00:00");
    for (url, stored) in [
        ("https://Tickets.Example/", "https://tickets.example"),
        ("https://tickets.example:443", "https://tickets.example"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ] {
        let config = load(&format!("PUBLIC_URL={url}\nALLOWED_HOSTS=*")).expect(url);
        assert_eq!(config.public_url.as_deref(), Some(stored), "{url}");
    }
    for url in ["tickets.example", "ftp://tickets.example", "https://tickets.example/marquee", "https://", "*"] {
        assert!(faults(&format!("PUBLIC_URL={url}")).starts_with("PUBLIC_URL: "), "{url}");
    }
    let config = load("CINEMA_NAME=  Café Lumière \nBUSINESS_DAY_STARTS_AT=00:00").expect("valid");
    assert_eq!(config.cinema_name, "Café Lumière");
    assert_eq!(config.business_day_starts_at.to_string(), "00:00:00");
    for name in [String::new(), " ".to_owned(), "a\tb".to_owned(), "x".repeat(101)] {
        assert!(faults(&format!("CINEMA_NAME={name}")).starts_with("CINEMA_NAME: "), "{name}");
    }
}

fn doubts(decouple: &str) -> Vec<(String, bool)> {
    let doubts = load(decouple).expect("it can be read").doubts;
    doubts.into_iter().map(|doubt| (doubt.text, doubt.is_mistake)).collect()
}

#[test]
fn typos_in_names_are_found() {
    for (name, meant) in [
        ("ALOWED_HOSTS", "ALLOWED_HOSTS"),
        ("SECRETKEY", "SECRET_KEY"),
        ("secret_key", "SECRET_KEY"),
        ("DB-HOST", "DB_HOST"),
        ("DATBASE_URL", "DATABASE_URL"),
        ("TIMEZONE", "TIME_ZONE"),
        ("HOLD_MINUTE", "HOLD_MINUTES"),
        ("BINDD", "BIND"),
    ] {
        let found = doubts(&format!("{name}=hunter2"));
        assert_eq!(found, [(format!("{name} in the .env file is not a setting; did you mean {meant}?"), true)]);
    }
    // Names of other programs get one note together.
    let text = "these names in the .env file are not settings of Marquee: EMAIL_HOST, REDIS_URL, TZ".to_owned();
    assert_eq!(doubts("TZ=UTC\nEMAIL_HOST=a\nREDIS_URL=b\nTZ=x\n"), [(text, false)]);
    let every: String = SETTINGS.iter().map(|setting| format!("#{}=\n", setting.name)).collect();
    for fine in ["", "# comment\n\n  \n", "\u{feff}# comment\nDEBUG=0", "export OTHER=1", &every, &env_example()] {
        assert!(doubts(fine).is_empty(), "{fine}: {:?}", doubts(fine));
    }
}

#[test]
fn lines_that_set_nothing_are_found_and_not_repeated() {
    let nothing = |line: usize| (format!("line {line} of the .env file has no =, so it sets nothing"), true);
    assert_eq!(doubts("DEBUG=0\r\n\r\nhunter2\r\nDEBUG"), [nothing(3), nothing(4)]);
    // The second line of a value that was split over two lines.
    let key = "SECRET_KEY=abc\nhunter2/+aGVsbG8=\n";
    assert_eq!(doubts(key), [("line 2 of the .env file does not name a setting".to_owned(), false)]);
}

#[test]
fn contradictions_are_found() {
    for (decouple, named) in [
        ("HOLD_MINUTES=60\nHOLD_LIMIT_MINUTES=10", "HOLD_MINUTES"),
        ("SEATS_PER_ORDER=5\nSEATS_PER_USER=4", "SEATS_PER_ORDER"),
        ("SALES_OPEN_DAYS=1\nSALES_CLOSE_MINUTES=1440", "SALES_CLOSE_MINUTES"),
        ("ACCESS_TOKEN_LIFETIME_HOURS=25\nREFRESH_TOKEN_LIFETIME_DAYS=1", "ACCESS_TOKEN_LIFETIME_HOURS"),
        ("ADMIN_IDLE_MINUTES=61\nADMIN_SESSION_HOURS=1", "ADMIN_IDLE_MINUTES"),
        ("LOGIN_FAILURES_PER_ACCOUNT=11\nLOGIN_FAILURES_PER_ADDRESS=10", "LOGIN_FAILURES_PER_ACCOUNT"),
        ("PUBLIC_URL=https://tickets.example", "PUBLIC_URL"),
    ] {
        let found = doubts(decouple);
        assert!(found.len() == 1 && found[0].0.starts_with(named) && found[0].1, "{found:?}");
    }
    for fine in [
        "HOLD_MINUTES=10\nHOLD_LIMIT_MINUTES=10",
        "SEATS_PER_ORDER=4\nSEATS_PER_USER=4",
        "SEATS_PER_ORDER=4",
        "SALES_OPEN_DAYS=1\nSALES_CLOSE_MINUTES=1439",
        "ACCESS_TOKEN_LIFETIME_HOURS=24\nREFRESH_TOKEN_LIFETIME_DAYS=1",
        "PUBLIC_URL=https://tickets.example:8443\nALLOWED_HOSTS=.example",
        "PUBLIC_URL=http://localhost:8000",
    ] {
        assert!(doubts(fine).is_empty(), "{fine}: {:?}", doubts(fine));
    }
}
