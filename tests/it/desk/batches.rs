//! The desk from outside: what waits, which requests a full queue refuses, and clients that disconnect.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::join;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::contract::tokens;
use crate::faults::guards::{Hold, have_decided};
use crate::support::{App, Call, Engine, Options, Reply, User};

tests! {
    desk: [
        a_full_queue_refuses_immediately on SHARED needs many_files,
        disconnected_client_is_not_written,
        a_request_that_waited_too_long_is_not_written,
        a_locked_database_is_busy on SQLITE,
        one_failing_request_does_not_fail_the_batch on SHARED,
        every_change_has_the_next_number,
        lanes_do_not_wait_for_each_other on SHARED,
        repeats_of_a_key_share_a_batch needs many_files,
        requests_of_one_user_take_turns,
        a_locked_show_does_not_hold_up_others on SHARED,
    ]
}

async fn start(engine: Engine, env: &[(&'static str, &str)]) -> App {
    let env = env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    App::start_with(engine, Options { env, ..Options::default() }).await
}

/// Keeps jobs from waiting for SQLite's lock before the requests of a test do.
async fn pause_jobs(app: &App) {
    loop {
        let now = marquee::time::clock::now();
        app.sql(&format!("UPDATE jobs SET next_at = 4000000000000000 WHERE lease_until <= {now}")).await;
        if app.sql("SELECT name FROM jobs WHERE next_at < 4000000000000000").await.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn booking(user: &User, show: i64, seat: i64) -> Call {
    Call::post(format!("/api/shows/{show}/book/")).bearer(&user.access).json(json!({"seat_number": seat}))
}

/// The booked seats of a show.
async fn held(app: &App, show: i64) -> BTreeSet<i64> {
    let sql = format!("SELECT seat_number FROM bookings WHERE show_id = {show} AND status = 'booked'");
    app.sql(&sql).await.iter().map(|row| row[0].parse().expect("a number")).collect()
}

async fn bookings(app: &App) -> usize {
    app.sql("SELECT COUNT(*) FROM bookings").await[0][0].parse().expect("a number")
}

/// Sends a booking of show 1 and returns the connection without reading the reply.
async fn ask(app: &App, user: &User, seat: i64) -> TcpStream {
    ask_with(app, user, seat, "").await
}

/// Like `ask`, with another header line.
async fn ask_with(app: &App, user: &User, seat: i64, header: &str) -> TcpStream {
    let host = app.base().trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await.expect("the server accepts");
    let body = json!({"seat_number": seat}).to_string();
    let request = format!(
        "POST /api/shows/1/book/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         {header}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        user.access,
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    stream
}

/// Reads the whole reply, head and body.
async fn reply(mut stream: TcpStream) -> String {
    let mut reply = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&reply);
        let length =
            text.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let (whole, body) = (length.unwrap_or(usize::MAX), text.split_once("\r\n\r\n").map(|(_, body)| body.len()));
        if body.is_some_and(|body| body >= whole) {
            return text.into_owned();
        }
        let read = stream.read_buf(&mut reply).await.expect("the connection is open");
        assert!(read > 0, "the server closed the connection");
    }
}

/// Disconnects, and waits until the server has noticed.
async fn leave(mut stream: TcpStream) {
    stream.shutdown().await.expect("the connection is open");
    let mut rest = Vec::new();
    let noticed = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
    noticed.expect("the server closes too").expect("the connection is open");
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
}

/// `desk::QUEUE` and `desk::LARGEST_BATCH`.
const QUEUE: usize = 8 * 1_024;
const LARGEST_BATCH: usize = 1_024;

/// How many more requests are sent than the desk can queue.
const SURPLUS: usize = 100;

/// Adds this many users, with tokens made from the server's key.
async fn crowd(app: &App, like: &User, count: usize) -> Vec<User> {
    let ids = 1_000..1_000 + count as i64;
    let rows: Vec<String> = ids.clone().map(|id| format!("({id}, 'u{id}', 'u{id}', '', '!', 0)")).collect();
    let rows = rows.join(", ");
    app.sql(&format!("INSERT INTO users (id, username, username_key, email, password, date_joined) VALUES {rows}"))
        .await;
    let now = marquee::time::clock::now() / 1_000_000;
    let user = |id: i64| {
        let claims = json!({"token_type": "access", "exp": now + 3_600, "iat": now, "jti": "crowd", "user_id": id});
        let access = tokens::make(jsonwebtoken::Algorithm::HS256, &claims, &app.secret_key);
        User { id, username: format!("u{id}"), access, ..like.clone() }
    };
    ids.map(user).collect()
}

/// Two of this test at the same time would need more files than many systems allow.
static CROWD: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Not on SQLite: its desk waits only five seconds for a lock, which is too short to fill the queue.
async fn a_full_queue_refuses_immediately(engine: Engine) {
    let _alone = CROWD.lock().await;
    let count = LARGEST_BATCH + QUEUE + SURPLUS;
    let app = start(engine, &[("REQUEST_TIMEOUT_SECONDS", "300"), ("MAX_CONNECTIONS", "80000")]).await;
    app.load(json!({
        "movies": [{"id": 1, "title": "The Long Take", "duration_minutes": 142}],
        "screens": [{"id": 1, "name": "Screen 1"}],
        "shows": [{"id": 1, "movie": 1, "screen": 1, "date_time": "2035-06-01T18:30:00Z", "total_seats": count + 1}],
    }));
    let ann = app.customer("ann").await;
    booking(&ann, 1, count as i64 + 1).send(&app).await.expect(201);
    // The desk takes a few of each user at a time.
    let crowd = crowd(&app, &ann, count / 4).await;

    let hold = Hold::show_1(&app).await;
    let (answered, mut answers) = mpsc::unbounded_channel();
    for seat in 1..=count as i64 {
        let user = &crowd[seat as usize % crowd.len()];
        let (stream, answered) = (ask(&app, user, seat).await, answered.clone());
        tokio::spawn(async move { answered.send((seat, reply(stream).await)) });
    }
    let mut next = async || {
        let next = tokio::time::timeout(Duration::from_secs(60), answers.recv()).await;
        next.expect("everyone is answered").expect("the senders exist")
    };
    // The desk is blocked, but these are answered anyway.
    let mut refused = BTreeSet::new();
    while refused.len() < SURPLUS {
        let (seat, reply) = next().await;
        let lower = reply.to_ascii_lowercase();
        assert!(reply.starts_with("HTTP/1.1 503") && reply.contains(r#""code":"busy""#), "{reply}");
        assert!(lower.contains("\r\nretry-after: "), "{reply}");
        refused.insert(seat);
    }
    // Other requests are still served.
    Call::get("/api/movies/").bearer(&ann.access).send(&app).await.expect(200);
    assert_eq!(held(&app, 1).await.len(), 1, "nothing is written yet");
    hold.release().await;
    let mut sold = BTreeSet::from([count as i64 + 1]);
    while sold.len() + refused.len() <= count {
        let (seat, reply) = next().await;
        // A few more may have found the queue full between the first batch and the rest.
        let is_new = match &reply[..12] {
            "HTTP/1.1 201" => sold.insert(seat),
            "HTTP/1.1 503" => refused.insert(seat),
            _ => panic!("{reply}"),
        };
        assert!(is_new, "seat {seat} is answered once");
    }
    assert!(sold.len() > QUEUE, "{} waited", sold.len());
    assert_eq!(held(&app, 1).await, sold, "only the seats that were answered 201");
    for seat in refused.into_iter().take(5) {
        booking(&ann, 1, seat).send(&app).await.expect(201);
    }
}

async fn disconnected_client_is_not_written(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    booking(&world.ann, 1, 50).send(&app).await.expect(201);
    let hold = Hold::show_1(&app).await;
    let in_its_batch = ask(&app, &world.ann, 1).await;
    have_decided(&app, 1).await;
    let mut waiting = Vec::new();
    for seat in 2..=20 {
        waiting.push(ask(&app, &world.ann, seat).await);
    }
    let stays = ask(&app, &world.ann, 21).await;
    // Time to reach the desk. If this were too short, they would not be served at all, and the test would prove
    // nothing.
    tokio::time::sleep(Duration::from_millis(200)).await;
    join_all(waiting.into_iter().chain([in_its_batch]).map(leave)).await;
    hold.release().await;

    let stayed = reply(stays).await;
    assert!(stayed.starts_with("HTTP/1.1 201"), "{stayed}");
    // The client in the batch has the seat, although nobody read the reply.
    assert_eq!(held(&app, 1).await, BTreeSet::from([1, 21, 50]));
    assert_eq!(bookings(&app).await, 3);
    let listed = Call::get("/api/my-bookings/").bearer(&world.ann.access).send(&app).await.expect(200).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(3), "{listed}");
    booking(&world.bob, 1, 1).send(&app).await.expect(409);
    for seat in 2..=20 {
        booking(&world.bob, 1, seat).send(&app).await.expect(201);
    }
    app.succeed(&["check"]);
}

async fn a_request_that_waited_too_long_is_not_written(engine: Engine) {
    let app = start(engine, &[("REQUEST_TIMEOUT_SECONDS", "9")]).await;
    let world = app.world().await;
    booking(&world.ann, 1, 50).send(&app).await.expect(201);
    pause_jobs(&app).await;
    let hold = Hold::show_1(&app).await;
    let late = async {
        have_decided(&app, 1).await;
        let release = async {
            // A request may wait for two thirds of its time limit.
            tokio::time::sleep(Duration::from_secs(7)).await;
            hold.release().await;
        };
        join!(booking(&world.bob, 1, 2).send(&app), release).0
    };
    let (first, late) = join!(booking(&world.ann, 1, 1).send(&app), late);
    let was_late = |late: &Reply| {
        // `timeout` if this machine was too slow to release the lock in time.
        assert_eq!(late.status, 503, "{late:?}");
        assert!(["busy", "timeout"].contains(&late.json()["code"].as_str().expect("a code")), "{late:?}");
        assert!(late.header("retry-after").is_some(), "{late:?}");
    };
    // On SQLite, it has waited for the lock once.
    was_late(&first);
    let mut sold = BTreeSet::from([3, 50]);
    if engine == Engine::Sqlite {
        // Its write was in progress when its time ran out.
        late.expect(201);
        sold.insert(2);
    } else {
        was_late(&late);
    }
    // When this is answered, everything before it in the queue is done.
    booking(&world.ann, 1, 3).send(&app).await.expect(201);
    assert_eq!(held(&app, 1).await, sold);
    booking(&world.ann, 1, 1).send(&app).await.expect(201);
}

/// The user of one request is deleted while it waits: the foreign key makes the whole batch's statement fail.
async fn one_failing_request_does_not_fail_the_batch(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let cyd = app.customer("cyd").await;
    booking(&world.ann, 1, 50).send(&app).await.expect(201);
    let hold = Hold::show_1(&app).await;
    let first = ask(&app, &world.ann, 1).await;
    have_decided(&app, 1).await;
    let mut waiting = vec![ask(&app, &cyd, 2).await];
    for seat in 3..=10 {
        waiting.push(ask(&app, if seat % 2 == 0 { &world.ann } else { &world.bob }, seat).await);
    }
    // Time for checking the token and reaching the desk.
    tokio::time::sleep(Duration::from_millis(500)).await;
    app.sql(&format!("DELETE FROM users WHERE id = {}", cyd.id)).await;
    hold.release().await;
    assert!(reply(first).await.starts_with("HTTP/1.1 201"));
    let replies = join_all(waiting.into_iter().map(reply)).await;
    assert!(replies[0].starts_with("HTTP/1.1 500"), "{}", replies[0]);
    for reply in &replies[1..] {
        assert!(reply.starts_with("HTTP/1.1 201"), "{reply}");
    }
    assert_eq!(held(&app, 1).await, BTreeSet::from_iter([1, 50].into_iter().chain(3..=10)));
    app.succeed(&["check"]);
}

/// The sequence `seat_version` of a show: requests that change nothing use no number, and a rollback loses none.
async fn every_change_has_the_next_number(engine: Engine) {
    let app = App::start_with(engine, Options { instances: 2, ..Options::default() }).await;
    let world = app.world().await;
    let [here, there] = [&app.instance(0).base, &app.instance(1).base];
    let number = async |show: i64| {
        let sql = format!("SELECT seat_version FROM shows WHERE id = {show}");
        app.sql(&sql).await[0][0].parse::<i64>().expect("a number")
    };
    let (began, other) = (number(1).await, number(2).await);
    let booked = booking(&world.ann, 1, 1).send_to(here).await.expect(201).json();
    assert_eq!(number(1).await, began + 1);
    booking(&world.bob, 1, 1).send_to(there).await.expect(409);
    booking(&world.bob, 1, 51).send_to(there).await.expect(400);
    assert_eq!(number(1).await, began + 1);
    booking(&world.bob, 1, 2).send_to(there).await.expect(201);
    assert_eq!(number(1).await, began + 2);
    let cancel = |user: &User| Call::post(format!("/api/bookings/{}/cancel/", booked["id"])).bearer(&user.access);
    cancel(&world.bob).send_to(there).await.expect(403);
    cancel(&world.ann).send_to(there).await.expect(200);
    cancel(&world.ann).send_to(here).await.expect(409);
    assert_eq!(number(1).await, began + 3);
    // Both find the seat free, and one must roll back.
    let hold = Hold::show_1(&app).await;
    let release = async {
        have_decided(&app, 2).await;
        hold.release().await;
    };
    let (one, two, ()) =
        join!(booking(&world.ann, 1, 7).send_to(here), booking(&world.bob, 1, 7).send_to(there), release);
    assert_eq!(BTreeSet::from([one.status, two.status]), BTreeSet::from([201, 409]));
    assert_eq!((number(1).await, number(2).await), (began + 4, other));
}

/// Another process, such as a long `loaddata`, has locked SQLite's whole database.
async fn a_locked_database_is_busy(engine: Engine) {
    let app = start(engine, &[("DESK_LANES", "1")]).await;
    let world = app.world().await;
    let booked = booking(&world.ann, 1, 50).send(&app).await.expect(201).json();
    pause_jobs(&app).await;
    let hold = Hold::show_1(&app).await;
    let is_busy = |reply: &Reply, began: Instant| {
        assert_eq!((reply.status, &reply.json()["code"]), (503, &json!("busy")), "{reply:?}");
        assert!(reply.header("retry-after").is_some(), "{reply:?}");
        // It waits for one lock, and before that for the batch that was waiting already.
        assert!(began.elapsed() < Duration::from_secs(13), "{:?}", began.elapsed());
    };
    let began = Instant::now();
    let first = tokio::spawn({
        let (call, base) = (booking(&world.ann, 1, 1), app.base().to_owned());
        async move { call.send_to(&base).await }
    });
    have_decided(&app, 1).await;
    // Reads go on, and load balancers need not know.
    Call::get("/readyz").send(&app).await.expect(200);
    Call::get("/api/my-bookings/").bearer(&world.ann.access).send(&app).await.expect(200);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    // These share a batch, which is not split: each of its parts would wait again.
    let cancel = Call::post(format!("/api/bookings/{}/cancel/", booked["id"])).bearer(&world.ann.access);
    let (one, two, three) =
        join!(booking(&world.bob, 1, 2).send(&app), booking(&world.bob, 2, 1).send(&app), cancel.clone().send(&app));
    for reply in [first.await.expect("it does not panic"), one, two, three] {
        is_busy(&reply, began);
    }
    Call::get("/readyz").send(&app).await.expect(200);
    hold.release().await;
    assert_eq!(held(&app, 1).await, BTreeSet::from([50]));
    booking(&world.bob, 1, 2).send(&app).await.expect(201);
    cancel.send(&app).await.expect(200);
    app.succeed(&["check"]);
}

/// Show 1 is blocked; show 2 belongs to another lane, if there is one.
async fn lanes_do_not_wait_for_each_other(engine: Engine) {
    for (lanes, waits) in [("2", false), ("1", true)] {
        let app = start(engine, &[("DESK_LANES", lanes)]).await;
        let world = app.world().await;
        booking(&world.ann, 1, 50).send(&app).await.expect(201);
        let hold = Hold::show_1(&app).await;
        let first = ask(&app, &world.ann, 1).await;
        have_decided(&app, 1).await;
        let mut other = Box::pin(booking(&world.bob, 2, 1).send(&app));
        let early: Option<Reply> = if waits {
            tokio::time::timeout(Duration::from_millis(250), &mut other).await.ok()
        } else {
            Some((&mut other).await.expect(201))
        };
        assert_eq!(early.is_none(), waits, "{lanes} lanes: {early:?}");
        hold.release().await;
        assert!(reply(first).await.starts_with("HTTP/1.1 201"));
        if waits {
            other.await.expect(201);
        }
    }
}

/// Another session keeps show 1 locked. The other shows of its lane wait once, for a second; requests for show 1 wait
/// until the lock is released.
async fn a_locked_show_does_not_hold_up_others(engine: Engine) {
    let app = start(engine, &[("DESK_LANES", "1")]).await;
    let world = app.world().await;
    app.sql("UPDATE shows SET total_seats = 50 WHERE id = 2").await;
    let booked = booking(&world.ann, 1, 50).send(&app).await.expect(201).json();
    booking(&world.bob, 2, 50).send(&app).await.expect(201);
    let hold = Hold::show_1(&app).await;
    let mut locked = vec![ask(&app, &world.ann, 1).await];
    have_decided(&app, 1).await;
    let mut times = Vec::new();
    for seat in 1..=20 {
        let began = Instant::now();
        booking(&world.bob, 2, seat).send(&app).await.expect(201);
        times.push(began.elapsed());
        locked.push(ask(&app, &world.ann, seat + 1).await);
    }
    times.sort_unstable();
    assert!(times[19] < Duration::from_millis(2_500), "{times:?}");
    assert!(times[18] < Duration::from_millis(500), "{times:?}");
    // Once the booking was read, the desk knows which show a request for it belongs to.
    let cancel = Call::post(format!("/api/bookings/{}/cancel/", booked["id"])).bearer(&world.ann.access);
    let mut cancel = Box::pin(cancel.send(&app));
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut cancel).await.is_err(), "the show is locked");
    booking(&world.bob, 2, 30).send(&app).await.expect(201);
    assert_eq!(held(&app, 1).await, BTreeSet::from([50]));
    hold.release().await;
    let began = Instant::now();
    cancel.await.expect(200);
    for reply in join_all(locked.into_iter().map(reply)).await {
        assert!(reply.starts_with("HTTP/1.1 201"), "{reply}");
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(held(&app, 1).await, BTreeSet::from_iter(1..=21));
    app.succeed(&["check"]);
}

/// More repeats than fit a batch are answered by two or three batches, with the requests behind them.
async fn repeats_of_a_key_share_a_batch(engine: Engine) {
    const REPEATS: usize = 1_200;
    let app = App::start(engine).await;
    let world = app.world().await;
    booking(&world.bob, 1, 50).send(&app).await.expect(201);
    let hold = Hold::show_1(&app).await;
    let first = ask(&app, &world.bob, 49).await;
    have_decided(&app, 1).await;
    // On SQLite, the desk waits only five seconds for the lock.
    let repeats = (0..REPEATS).map(|_| ask_with(&app, &world.ann, 48, "Idempotency-Key: same\r\n"));
    let mut waiting = join_all(repeats).await;
    for seat in 1..=5 {
        waiting.push(ask(&app, &world.bob, seat).await);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    hold.release().await;
    let began = Instant::now();
    let replies = join_all(waiting.into_iter().map(reply)).await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let body = |answered: &str| answered.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    for answered in &replies {
        assert!(answered.starts_with("HTTP/1.1 201"), "{answered}");
    }
    assert!(replies[..REPEATS].iter().all(|answered| body(answered) == body(&replies[0])));
    assert!(reply(first).await.starts_with("HTTP/1.1 201"));
    assert_eq!(held(&app, 1).await, BTreeSet::from_iter((1..=5).chain(48..=50)));
}

/// However many requests one user has sent, others are in the next batch.
async fn requests_of_one_user_take_turns(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let hold = Hold::show_1(&app).await;
    let first = ask(&app, &world.bob, 50).await;
    have_decided(&app, 1).await;
    let (answered, mut answers) = mpsc::unbounded_channel();
    for seat in 1..=41 {
        let user = if seat == 41 { &world.bob } else { &world.ann };
        let (stream, answered) = (ask(&app, user, seat).await, answered.clone());
        tokio::spawn(async move { answered.send((seat, reply(stream).await)) });
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    hold.release().await;
    assert!(reply(first).await.starts_with("HTTP/1.1 201"));
    let mut order = Vec::new();
    while order.len() < 41 {
        let (seat, reply) = answers.recv().await.expect("the senders live");
        assert!(reply.starts_with("HTTP/1.1 201"), "{reply}");
        order.push(seat);
    }
    let place = order.iter().position(|seat| *seat == 41).expect("everyone is answered");
    assert!(place < 24, "{order:?}");
}
