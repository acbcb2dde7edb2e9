//! A database that is cut off, silent, or cut off during a commit: a relay is between it and the server.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::operation::serving::{login, movies, with};
use crate::support::relay::AtCommit;
use crate::support::{App, Call, Engine, Options, Reply, booking, is_consistent, others_changes_are_seen, race};

tests! {
    operation: [
        an_outage_is_answered_and_ends on SHARED,
        a_silent_database_is_answered on SHARED,
        a_cut_commit_tells_the_truth on SHARED,
    ]
}

/// Starts a server that reaches its database through a relay.
pub async fn behind_a_relay(engine: Engine, env: &[(&'static str, &str)]) -> App {
    let app = App::start_with(engine, Options { relay: true, ..with(env) }).await;
    // The tests cut the next commit, which must not be one of the background work.
    while app.sql("SELECT name FROM jobs WHERE result = 'done'").await.len() < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    app.sql("UPDATE jobs SET next_at = 9000000000000000").await;
    app
}

/// Checks that a refusal tells the client to retry.
pub fn is_unavailable(reply: &Reply, code: &str) {
    assert_eq!(reply.status, 503, "{reply:?}");
    assert_eq!(reply.json()["code"], code, "{reply:?}");
    assert!(reply.json()["detail"].is_string(), "{reply:?}");
    let seconds = reply.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
    assert!(seconds.is_some_and(|seconds| (1..=60).contains(&seconds)), "{reply:?}");
}

async fn an_outage_is_answered_and_ends(engine: Engine) {
    let app = behind_a_relay(engine, &[]).await;
    let world = app.world().await;
    let calls = || {
        let refresh = Call::post("/api/token/refresh/").json(json!({"refresh": world.ann.refresh}));
        let login = login("ann", &world.ann.password);
        [movies(&world.ann), Call::get("/api/my-bookings/").bearer(&world.ann.access), login, refresh]
    };
    for round in 0..2 {
        // Many connections are idle in the pool when the database disappears.
        let warm = (0..40).map(|_| (movies(&world.ann), app.base().to_owned())).collect();
        assert!(race::at_once(warm).await.iter().all(|reply| reply.status == 200));
        app.relay().cut();
        // Wait until cached reads have expired.
        others_changes_are_seen().await;
        let began = Instant::now();
        let seats = 1 + round * 30;
        let bookings = (seats..seats + 20).map(|seat| booking(&world.ann, 1, seat));
        let all = calls().into_iter().chain(bookings).map(|call| (call, app.base().to_owned())).collect();
        for reply in race::at_once(all).await {
            is_unavailable(&reply, "unavailable");
        }
        assert!(began.elapsed() < Duration::from_secs(6), "answered after {:?}", began.elapsed());
        Call::get("/healthz").send(&app).await.expect(200);
        let ready = Call::get("/readyz").send(&app).await.expect(503);
        assert_eq!(ready.json()["problem"], "the database does not answer");

        app.relay().mend();
        let began = Instant::now();
        while Call::get("/readyz").send(&app).await.status != 200 {
            assert!(began.elapsed() < Duration::from_secs(5), "it does not come back");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for call in calls() {
            call.send(&app).await.expect(200);
        }
        // Requests that were answered 503 were not executed.
        for seat in seats..seats + 20 {
            booking(&world.ann, 1, seat).send(&app).await.expect(201);
        }
    }
}

/// The worse outage: the network swallows everything.
async fn a_silent_database_is_answered(engine: Engine) {
    let app = behind_a_relay(engine, &[("REQUEST_TIMEOUT_SECONDS", "1")]).await;
    let world = app.world().await;
    booking(&world.ann, 1, 1).send(&app).await.expect(201);
    app.relay().silence(true);
    let began = Instant::now();
    let calls = (2..42).map(|seat| (booking(&world.ann, 1, seat), app.base().to_owned())).collect();
    for reply in race::at_once(calls).await {
        is_unavailable(&reply, "timeout");
    }
    Call::get("/healthz").send(&app).await.expect(200);
    assert_ne!(Call::get("/readyz").send(&app).await.status, 200);
    assert!(began.elapsed() < Duration::from_secs(6), "answered after {:?}", began.elapsed());
    app.relay().silence(false);
    let began = Instant::now();
    while booking(&world.bob, 1, 50).send(&app).await.status != 201 {
        assert!(began.elapsed() < Duration::from_secs(10), "it does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    is_consistent(&app).await;
}

async fn a_cut_commit_tells_the_truth(engine: Engine) {
    let app = behind_a_relay(engine, &[]).await;
    let world = app.world().await;
    // Ids are reserved in blocks, each with its own commit: reserve one first.
    booking(&world.ann, 1, 1).send(&app).await.expect(201);
    let held = async |seat: i64| {
        let sql =
            format!("SELECT COUNT(*) FROM bookings WHERE show_id = 1 AND seat_number = {seat} AND status = 'booked'");
        app.sql(&sql).await[0][0] == "1"
    };
    for (seat, what) in [(2, AtCommit::CutBefore), (3, AtCommit::CutAfter)] {
        app.relay().at_next_commit(what);
        let reply = booking(&world.ann, 1, seat).send(&app).await;
        assert!(app.relay().has_met_commit());
        // The database can be asked, so the server finds out.
        assert_eq!(reply.status, 201, "{reply:?}");
        assert!(held(seat).await, "seat {seat}");
        is_consistent(&app).await;
        booking(&world.bob, 1, seat).send(&app).await.expect(409);
    }
    app.relay().at_next_commit(AtCommit::CutAfterAndStayAway);
    is_unavailable(&booking(&world.ann, 1, 4).send(&app).await, "outcome_unknown");
    app.relay().mend();
    // Reading and repeating both show the truth.
    assert!(held(4).await);
    booking(&world.ann, 1, 4).send(&app).await.expect(409);
    is_consistent(&app).await;
    // The same for the commit that reserves a block of ids: nothing was booked, and no id is used twice.
    app.instance(0).restart().await;
    app.relay().at_next_commit(AtCommit::CutAfter);
    let reply = booking(&world.bob, 1, 10).send(&app).await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(!held(10).await);
    booking(&world.bob, 1, 10).send(&app).await.expect(201);
    is_consistent(&app).await;
}
