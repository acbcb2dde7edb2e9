//! The commands that create and change accounts.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use super::command_line::{PASSWORD, Place, Ran, count, log_in, run};
use crate::support::{App, Call, Engine, others_changes_are_seen, process};

tests! {
    command_line: [
        createsuperuser,
        changepassword,
        deactivate_user,
        list_users,
        prompts once needs terminal,
    ]
}

async fn createsuperuser(engine: Engine) {
    let app = App::start(engine).await;
    let create = |name: &str, email: &str, password: Option<&str>| {
        let env: Vec<_> = password.map(|password| ("MARQUEE_SUPERUSER_PASSWORD", password)).into_iter().collect();
        let args = ["createsuperuser", "--noinput", "--username", name, "--email", email];
        Ran::from(app.marquee_with(&args, "", &env))
    };
    create("Root", "root@EXAMPLE.com", Some(PASSWORD)).exits(0).says(&["Root"]).never_says(&[PASSWORD]);
    log_in(&app, "root", PASSWORD).await.expect(200);
    let made = "SELECT username, email, is_active, is_staff, is_superuser FROM users";
    assert_eq!(app.sql(made).await, [["Root", "root@example.com", "1", "1", "1"]]);
    assert_eq!(app.sql("SELECT COUNT(*) FROM users WHERE password LIKE '$argon2id$%'").await, [["1"]]);

    for (name, email, password, texts) in [
        ("ROOT", "other@example.com", Some(PASSWORD), &["already exists"][..]),
        ("", "other@example.com", Some(PASSWORD), &["Username", "blank"]),
        ("  ", "other@example.com", Some(PASSWORD), &["Username", "blank"]),
        ("other", "", Some(PASSWORD), &["Email", "blank"]),
        ("a b", "other@example.com", Some(PASSWORD), &["Enter a valid username."]),
        ("other", "nope", Some(PASSWORD), &["Enter a valid email address."]),
        ("other", "other@example.com", None, &["MARQUEE_SUPERUSER_PASSWORD"]),
        ("other", "other@example.com", Some("  "), &["password"]),
        ("other", "other@example.com", Some("123456"), &["too short", "too common", "entirely numeric"]),
        ("otherother", "other@example.com", Some("otherother1"), &["too similar to the username"]),
    ] {
        let ran = create(name, email, password).exits(1).says(texts);
        if let Some(password) = password.filter(|password| !password.trim().is_empty()) {
            ran.never_says(&[password]);
        }
    }
    assert_eq!(count(&app, "users").await, 1, "refused users were not created");
    run(&app, &["createsuperuser", "--noinput"]).exits(2).says(&["--username", "--email"]);
    // No terminal to answer the prompts.
    run(&app, &["createsuperuser"]).exits(1).says(&["Username"]);
    // A password of four thousand characters works; one too long for a login is refused.
    let long = format!("{}{PASSWORD}", "x".repeat(4_000));
    create("other", "other@example.com", Some(&long.repeat(2))).exits(1).says(&["too long"]);
    create("other", "other@example.com", Some(&long)).exits(0);
    log_in(&app, "other", &long).await.expect(200);
}

async fn list_users(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    app.superuser("root").await;
    let rows = |output: std::process::Output| -> Vec<Vec<String>> {
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    };
    let all = rows(app.succeed(&["list-users"]));
    let names: Vec<&str> = all.iter().map(|row| row[1].as_str()).collect();
    assert_eq!(names, ["ann", "bob", "inactive", "root"]);
    assert_eq!(all[0][2..], ["ann@example.com", "active"]);
    assert_eq!(
        rows(app.succeed(&["list-users", "--staff"]))[0][1..],
        ["root", "root@example.com", "active,staff,superuser"]
    );
    let inactive = rows(app.succeed(&["list-users", "--inactive"]));
    assert_eq!(inactive.len(), 1);
    assert_eq!(inactive[0][3], "inactive");
    assert!(rows(app.succeed(&["list-users", "--staff", "--inactive"])).is_empty());
}

async fn changepassword(engine: Engine) {
    const NEW: &str = "Quiet-Harbour-71";
    let app = App::start(engine).await;
    let ann = app.customer("ann").await;
    let change = |name: &str, password: Option<&str>| {
        let env: Vec<_> = password.map(|password| ("MARQUEE_PASSWORD", password)).into_iter().collect();
        Ran::from(app.marquee_with(&["changepassword", "--noinput", name], "", &env))
    };
    change("ANN", Some(NEW)).exits(0).says(&["ann"]).never_says(&[NEW]);
    log_in(&app, "ann", PASSWORD).await.expect(401);
    log_in(&app, "ann", NEW).await.expect(200);
    let before = app.sql("SELECT * FROM users").await;
    change("ann", None).exits(1).says(&["MARQUEE_PASSWORD"]);
    change("ann", Some("")).exits(1);
    change("ann", Some("password123")).exits(1).says(&["too common"]).never_says(&["password123"]);
    // The password is compared with the user's data.
    change("ann", Some("ann@example.com")).exits(1).says(&["too similar to the email address"]);
    change("nobody", Some(NEW)).exits(1).says(&["no user nobody"]);
    change("ann' OR ''='", Some(NEW)).exits(1).says(&["no user"]);
    run(&app, &["changepassword"]).exits(2);
    assert_eq!(app.sql("SELECT * FROM users").await, before);
    // Sessions that began with the old password have ended.
    others_changes_are_seen().await;
    Call::get("/api/movies/").bearer(&ann.access).send(&app).await.expect(401);
}

async fn deactivate_user(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let booking = Call::post("/api/shows/1/book/").bearer(&world.bob.access).json(json!({"seat_number": 5}));
    booking.send(&app).await.expect(201);
    let list = |token: &str| Call::get("/api/my-bookings/").bearer(token);
    list(&world.bob.access).send(&app).await.expect(200);
    run(&app, &["deactivate-user", "BOB"]).exits(0).says(&["BOB"]);
    others_changes_are_seen().await;
    let off = json!({"detail": "User is inactive", "code": "user_inactive"});
    assert_eq!(list(&world.bob.access).send(&app).await.expect(401).json(), off, "A18");
    let refresh = Call::post("/api/token/refresh/").json(json!({"refresh": world.bob.refresh}));
    assert_eq!(refresh.send(&app).await.expect(401).json(), off, "T13");
    log_in(&app, "bob", PASSWORD).await.expect(401);
    list(&world.ann.access).send(&app).await.expect(200);
    assert_eq!(app.sql("SELECT COUNT(*) FROM bookings WHERE active_seat = 5").await, [["1"]], "bookings stay");
    run(&app, &["deactivate-user", "bob"]).exits(0);
    run(&app, &["activate-user", "Bob"]).exits(0).says(&["Activated Bob."]);
    log_in(&app, "bob", PASSWORD).await.expect(200);
    run(&app, &["activate-user", "nobody"]).exits(1).says(&["no user nobody"]);
    run(&app, &["deactivate-user", "bob"]).exits(0);
    run(&app, &["deactivate-user", "nobody"]).exits(1).says(&["no user nobody"]);
    run(&app, &["deactivate-user", "%"]).exits(1);
    run(&app, &["deactivate-user"]).exits(2);
    assert_eq!(app.sql("SELECT COUNT(*) FROM users WHERE is_active = 1").await, [["1"]]);
}

/// Missing values are prompted for, and passwords are not shown while they are typed.
async fn prompts() {
    let place = Place::empty();
    place.run(&["migrate"]).exits(0);
    let typed = |args: &str, lines: &[&str]| {
        let mut command = Command::new("script");
        command.args(["-qec", &format!("{} {args}", env!("CARGO_BIN_EXE_marquee")), "/dev/null"]);
        command.current_dir(place.directory.path()).env_remove("DATABASE_URL").env_remove("SECRET_KEY");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = process::tied(&mut command).spawn().expect("script starts");
        let mut stdin = child.stdin.take().expect("piped");
        for line in lines {
            // Wait for each prompt: a terminal discards input typed before it hides the password.
            std::thread::sleep(Duration::from_millis(500));
            stdin.write_all(format!("{line}\n").as_bytes()).expect("it reads");
        }
        let ran = Ran::from(child.wait_with_output().expect("a child"));
        drop(stdin);
        ran
    };
    // After a mistake, only that question is repeated.
    let slips = ["a b", "root", "nope", "root@example.com", "12345", "12345", PASSWORD, "other", PASSWORD, PASSWORD];
    let new = typed("createsuperuser", &slips);
    let new = new.says(&["Enter a valid username.", "Enter a valid email", "This password is too weak:", "differ"]);
    new.exits(0).says(&["Username:", "Email address:", "Password:", "(again)", "root."]).never_says(&[PASSWORD]);
    typed("changepassword root", &["Quiet-Harbour-71", "Quiet-Harbour-71"]).exits(0).never_says(&["Quiet-Harbour"]);
}
