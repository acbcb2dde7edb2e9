//! Tests of the test harness itself: what the others rely on without noticing.

use std::time::{Duration, Instant};

use crate::support::{App, Call, Engine, Options, Test, race};

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("harness::world_has_the_contracts_ids", world_has_the_contracts_ids),
        Test::new("harness::databases_are_apart", databases_are_apart),
        Test::new("harness::instances_stop_and_come_back", instances_stop_and_come_back),
        Test::on(&Engine::SHARED, "harness::two_instances_answer_at_once", two_instances_answer_at_once),
    ]
}

async fn world_has_the_contracts_ids(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    assert_eq!([world.ann.id, world.bob.id, world.inactive.id], [1, 2, 3]);
    let get = |user: &crate::support::User| Call::get("/api/movies/").bearer(&user.access);
    get(&world.ann).send(&app).await.expect(200);
    get(&world.inactive).send(&app).await.expect(401);
}

async fn databases_are_apart(engine: Engine) {
    let (one, other) = (App::start(engine).await, App::start(engine).await);
    one.customer("ann").await;
    let users = "SELECT COUNT(*), NULL FROM users";
    assert_eq!(one.sql(users).await, [["1", "NULL"]]);
    assert_eq!(other.sql(users).await, [["0", "NULL"]]);
}

async fn instances_stop_and_come_back(engine: Engine) {
    let app = App::start(engine).await;
    let instance = app.instance(0);
    let before = instance.pid();
    instance.kill9();
    Call::get("/api/movies/").try_send_to(app.base()).await.expect_err("nobody listens");
    instance.restart().await;
    assert_ne!(instance.pid(), before);
    Call::get("/api/movies/").send(&app).await.expect(401);
    assert!(instance.stop().await.success());
    instance.restart().await;
    Call::get("/api/movies/").send(&app).await.expect(401);
}

async fn two_instances_answer_at_once(engine: Engine) {
    let app = App::start_with(engine, Options { instances: 2, ..Options::default() }).await;
    let user = app.customer("ann").await;
    let call = Call::get("/api/movies/").bearer(&user.access);
    let calls = (0..20).map(|n| (call.clone(), app.instance(n % 2).base.clone())).collect();
    let began = Instant::now();
    let replies = race::at_once(calls).await;
    assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
}
