//! What a signal does to long-running work: files being sent, actions in many parts.

use std::time::{Duration, Instant};

use futures_util::join;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{App, Browser, Call, Engine, Options, is_consistent};

tests! {
    stopping: [
        a_file_is_complete_or_says_so,
        an_action_reports_how_far_it_got,
        a_hang_up_changes_nothing on SQLITE,
        a_second_signal_stops_immediately on SQLITE,
    ]
}

/// Number of movies. Their titles are 20 MB, which is more than the machine's network buffers hold.
const FILMS: usize = 20_000;

/// Starts a server with many movies; its streams may continue for `grace` seconds after a signal.
async fn with_films(engine: Engine, grace: &str) -> (App, Browser) {
    let env = vec![("STOP_GRACE_SECONDS", grace.to_owned())];
    let app = App::start_with(engine, Options { env, ..Options::default() }).await;
    let root = app.superuser("root").await;
    let title = "🎬".repeat(245);
    let digits = (0..10).map(|digit| format!("SELECT {digit} AS d")).collect::<Vec<_>>().join(" UNION ALL ");
    app.sql(&format!(
        "INSERT INTO movies (title, duration_minutes) SELECT CONCAT('{title}', a.d, b.d, c.d, e.d, f.d), 90 FROM ({digits}) a, \
         ({digits}) b, ({digits}) c, ({digits}) e, (SELECT 0 AS d UNION ALL SELECT 1) f"
    ))
    .await;
    (app, root)
}

/// Sends a request and reads the reply until it has `text`.
async fn asked(app: &App, root: &Browser, line: &str, body: &str, text: &str) -> (TcpStream, Vec<u8>) {
    let address = app.base().strip_prefix("http://").expect("plain HTTP");
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let head = format!(
        "{line} HTTP/1.1\r\nHost: {address}\r\nCookie: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        root.cookie(),
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("it takes the request");
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(text) {
        let some = tokio::time::timeout(Duration::from_secs(10), stream.read_buf(&mut read)).await;
        assert!(some.expect("it answers").expect("it sends") > 0, "{}", String::from_utf8_lossy(&read));
    }
    (stream, read)
}

/// Reads the rest of the reply, and returns whether it was complete.
async fn rest(stream: &mut TcpStream, mut read: Vec<u8>) -> (String, bool) {
    loop {
        match tokio::time::timeout(Duration::from_secs(20), stream.read_buf(&mut read)).await.expect("it goes on") {
            Ok(1..) if !read.ends_with(b"\r\n0\r\n\r\n") => {}
            _ => break,
        }
    }
    let is_whole = read.ends_with(b"\r\n0\r\n\r\n");
    (String::from_utf8_lossy(&read).into_owned(), is_whole)
}

async fn a_file_is_complete_or_says_so(engine: Engine) {
    let download = async |app: &App, root: &Browser, format: &str| {
        let line = format!("GET /admin/movies/export/?format={format}");
        let (mut stream, head) = asked(app, root, &line, "", "HTTP/1.1 200").await;
        let (status, read) = join!(app.instance(0).stop(), rest(&mut stream, head));
        assert!(status.success(), "{status}");
        read
    };
    let films = |text: &str| text.lines().filter(|line| line.contains("🎬")).count();
    let (app, root) = with_films(engine, "0").await;
    let (text, is_whole) = download(&app, &root, "csv").await;
    assert!(!is_whole && films(&text) < FILMS, "{} films", films(&text));
    let end = &text[text.floor_char_boundary(text.len().saturating_sub(300))..];
    assert!(end.contains("\r\n\"NOT COMPLETE: the server was stopped"), "{end}");
    let log = app.instance(0).log();
    assert!(log.contains("cut short") && log.ends_with(" stopped"), "{log}");

    app.instance(0).restart().await;
    let (text, is_whole) = download(&app, &root, "json").await;
    assert!(
        !is_whole && !text.trim_end().ends_with(']'),
        "{}",
        &text[text.floor_char_boundary(text.len().saturating_sub(300))..]
    );

    let (app, root) = with_films(engine, "20").await;
    let (text, is_whole) = download(&app, &root, "csv").await;
    assert!(is_whole && !text.contains("NOT COMPLETE"));
    assert_eq!(films(&text), FILMS);
}

async fn an_action_reports_how_far_it_got(engine: Engine) {
    const ALL: usize = 5_000;
    let env = vec![("STOP_GRACE_SECONDS", "0".to_owned())];
    let app = App::start_with(engine, Options { env, ..Options::default() }).await;
    let world = app.world().await;
    let mut root = app.superuser("root").await;
    let ids: Vec<usize> = (5_000_001..=5_000_000 + ALL).collect();
    app.sql(&format!(
        "INSERT INTO shows (id, movie_id, screen_id, date_time, total_seats, seats_taken) \
         SELECT 100, movie_id, screen_id, date_time + 172800000000, {ALL}, {ALL} FROM shows WHERE id = 1"
    ))
    .await;
    let rows = |ids: &[usize]| {
        let row = |id: &usize| format!("({id}, {}, 100, {}, 'booked', 1)", world.ann.id, id - 5_000_000);
        ids.iter().map(row).collect::<Vec<_>>().join(", ")
    };
    let columns = "id, user_id, show_id, seat_number, status, created_at";
    app.sql(&format!("INSERT INTO bookings ({columns}) VALUES {}", rows(&ids))).await;

    let ids = ids.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let path = "/admin/bookings/actions/cancel/";
    root.get(&app, format!("{path}?ids=5000001")).await.expect(200);
    let form = root.form(&[("ids", &ids)]);
    let (mut stream, begun) = asked(&app, &root, &format!("POST {path}"), &form, &format!("of {ALL}")).await;
    let (status, (text, is_whole)) = join!(app.instance(0).stop(), rest(&mut stream, begun));
    assert!(status.success() && is_whole, "{status}: {text}");
    let stopped = text.split_once("Stopped after ").unwrap_or_else(|| panic!("{text}")).1;
    let tried: usize = stopped.split(' ').next().expect("a number").parse().expect("a number");
    assert!((500..ALL).contains(&tried) && text.contains(&format!("Done: {tried} bookings.")), "{text}");
    let log = app.instance(0).logged("half-way").await;
    assert!(log.contains(&format!("tried={tried} all={ALL} done={tried}")), "{log}");
    let booked = async || app.sql("SELECT COUNT(*) FROM bookings WHERE status = 'booked'").await[0][0].clone();
    assert_eq!(booked().await, (ALL - tried).to_string());

    // Repeating the request does the rest.
    app.instance(0).restart().await;
    let page = root.send(app.base(), Call::post(path).body(Some("application/x-www-form-urlencoded"), form)).await;
    assert!(page.expect(200).text.contains(&format!("Done: {} bookings.", ALL - tried)));
    assert_eq!(booked().await, "0");
    is_consistent(&app).await;
}

async fn a_hang_up_changes_nothing(engine: Engine) {
    let app = App::start(engine).await;
    app.instance(0).signal("HUP");
    app.instance(0).logged("SIGHUP").await;
    Call::get("/healthz").send(&app).await.expect(200);
}

async fn a_second_signal_stops_immediately(engine: Engine) {
    let (app, root) = with_films(engine, "60").await;
    let (stream, _) = asked(&app, &root, "GET /admin/movies/export/", "", "HTTP/1.1 200").await;
    app.instance(0).signal("INT");
    app.instance(0).logged("stopping").await;
    let began = Instant::now();
    assert_eq!(app.instance(0).stop().await.code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(3), "stopped after {:?}", began.elapsed());
    app.instance(0).logged("immediately").await;
    drop(stream);
}
