//! Random sequences of everything that changes a seat: plans, moves to their newer versions, blocks, releases, bookings,
//! holds, and time that passes. After each step the seat map, the counts and the database agree; no seat that is gone or
//! blocked is sold, and no sold one changes its label.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::plans::save;
use crate::api::holds::{act, available, get, hold, post};
use crate::support::{App, Browser, Engine, Options, User, booking, is_consistent, others_changes_are_seen};

tests! {
    admin_seat_changes: [
        no_sequence_of_changes_harms_a_seat,
    ]
}

/// How many steps there are; `MARQUEE_SEAT_STEPS` sets more of them.
const STEPS: usize = 80;

/// A sequence of numbers that look random (SplitMix64), the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % most
    }

    fn seat(&mut self) -> i64 {
        1 + self.below(16) as i64
    }

    /// Returns a plan of two rows of which seats at the right, or in the second row, come and go.
    fn plan(&mut self) -> String {
        let mut row = || {
            let premium = self.below(2) as usize;
            "S".repeat(3 + self.below(3) as usize) + &"P".repeat(premium)
        };
        let (first, second) = (row(), row());
        format!("name: Screen 1\ncategory: S = Standard\ncategory: P = Premium\n\nA | {first}\nB | {second}\n")
    }
}

struct Story {
    app: App,
    root: Browser,
    users: [User; 2],
    random: Random,
    holds: Vec<(usize, Value)>,
    /// The labels with which seats were sold or held.
    labels: HashMap<i64, String>,
    /// How often the show was not moved to the newest version, and how often it was.
    moves: [usize; 2],
}

async fn no_sequence_of_changes_harms_a_seat(engine: Engine) {
    let limits = ["HOLDS_PER_MINUTE", "HOLDS_PER_USER", "HOLD_SEATS_PER_USER"].map(|name| (name, "1000".to_owned()));
    let app = App::start_with(engine, Options { env: limits.to_vec(), ..Options::default() }).await;
    let world = app.world().await;
    let root = app.superuser("root").await;
    let seed = std::env::var("MARQUEE_SEAT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(3);
    let steps = std::env::var("MARQUEE_SEAT_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(STEPS);
    let users = [world.ann, world.bob];
    let mut story =
        Story { app, root, users, random: Random(seed), holds: Vec::new(), labels: HashMap::new(), moves: [0, 0] };
    story.change_plan().await;
    story.move_show().await;
    for step in 0..steps {
        let what = story.step().await;
        story.check(&format!("seed {seed}, step {step}: {what}")).await;
    }
    assert!(story.moves.iter().all(|times| *times > 0), "{:?}: choose another seed", story.moves);
    is_consistent(&story.app).await;
    story.app.succeed(&["check"]);
}

impl Story {
    async fn step(&mut self) -> &'static str {
        match self.random.below(16) {
            0..=2 => self.book().await,
            3..=4 => self.hold().await,
            5..=6 => self.best().await,
            7..=8 => self.end_hold().await,
            9..=11 => self.block().await,
            12 => self.release().await,
            13 => self.change_plan().await,
            14 => self.move_show().await,
            _ => self.pass_time().await,
        }
    }

    async fn book(&mut self) -> &'static str {
        let user = self.random.below(2) as usize;
        let reply = booking(&self.users[user], 1, self.random.seat()).send(&self.app).await;
        if reply.status == 201 {
            let id = reply.json()["id"].clone();
            let path = format!("/api/bookings/{id}/");
            let booked = get(&self.users[user], &path).send(&self.app).await.expect(200).json();
            self.remember(&json!([{ "seat": booked["seat_number"], "label": booked["seat_label"] }]));
        } else {
            assert!([400, 409].contains(&reply.status), "{reply:?}");
        }
        "book"
    }

    async fn hold(&mut self) -> &'static str {
        let user = self.random.below(2) as usize;
        let seats = [self.random.seat(), self.random.seat()];
        let reply = hold(&self.users[user], 1, &seats).send(&self.app).await;
        self.held(user, reply.status, || reply.json());
        "hold"
    }

    async fn best(&mut self) -> &'static str {
        let user = self.random.below(2) as usize;
        let wish = json!({ "best": 1 + self.random.below(3) });
        let reply = post(&self.users[user], "/api/shows/1/holds/").json(wish).send(&self.app).await;
        self.held(user, reply.status, || reply.json());
        "best seats"
    }

    fn held(&mut self, user: usize, status: u16, hold: impl Fn() -> Value) {
        if status == 201 {
            let hold = hold();
            self.remember(&hold["seat_details"]);
            self.holds.push((user, hold));
        } else {
            assert!([400, 409].contains(&status), "{status}");
        }
    }

    fn remember(&mut self, details: &Value) {
        for seat in details.as_array().expect("a list") {
            let label = seat["label"].as_str().expect("a label").to_owned();
            self.labels.insert(seat["seat"].as_i64().expect("a number"), label);
        }
    }

    async fn end_hold(&mut self) -> &'static str {
        let Some((user, hold)) = self.holds.pop() else { return "nothing" };
        let what = ["confirm", "release", "extend"][self.random.below(3) as usize];
        let reply = act(&self.users[user], &hold, what).send(&self.app).await;
        assert!([200, 201, 404, 409].contains(&reply.status), "{reply:?}");
        what
    }

    async fn block(&mut self) -> &'static str {
        let seats = [self.random.seat().to_string(), self.random.seat().to_string()];
        let minutes = ["", "30"][self.random.below(2) as usize];
        let fields =
            [("seat", &*seats[0]), ("seat", &*seats[1]), ("kind", "house"), ("minutes", minutes), ("do", "block")];
        let reply = self.root.post(&self.app, "/admin/shows/1/seats/", &fields).await;
        assert!([303, 422].contains(&reply.status), "{reply:?}");
        "block"
    }

    async fn release(&mut self) -> &'static str {
        let blocked = self.app.sql("SELECT seat_number FROM blocked_seats WHERE kind <> 'retired' ORDER BY id").await;
        let Some(seat) = blocked.first().map(|row| row[0].clone()) else { return "nothing" };
        let reply = self.root.post(&self.app, "/admin/shows/1/seats/", &[("release", &*seat)]).await;
        assert!([303, 422].contains(&reply.status), "{reply:?}");
        "release"
    }

    async fn change_plan(&mut self) -> &'static str {
        let text = self.random.plan();
        save(&self.app, &mut self.root, &text).await;
        "a new plan"
    }

    async fn move_show(&mut self) -> &'static str {
        // Also if the page says that the show can't move.
        let plan = self.app.sql("SELECT plan_id FROM screens WHERE id = 1").await[0][0].clone();
        let fields = [("plan", &*plan), ("ids", "1")];
        let reply = self.root.post(&self.app, "/admin/screens/1/plan/shows/", &fields).await;
        assert!([303, 422].contains(&reply.status), "{reply:?}");
        let has = self.app.sql("SELECT plan_id FROM shows WHERE id = 1").await[0][0].clone();
        let moved = &mut self.moves[usize::from(has == plan)];
        *moved += 1;
        "move the show"
    }

    /// All holds and blocks that end by themselves end.
    async fn pass_time(&mut self) -> &'static str {
        for sql in [
            "UPDATE orders SET expires_at = 2 WHERE status = 'held' AND expires_at > 2",
            "UPDATE bookings SET release_at = 2 WHERE release_at > 2",
            "UPDATE blocked_seats SET release_at = 2 WHERE release_at > 2",
        ] {
            self.app.sql(sql).await;
        }
        others_changes_are_seen().await;
        "time passes"
    }

    async fn check(&self, what: &str) {
        let map = get(&self.users[0], "/api/shows/1/seats/").send(&self.app).await.expect(200).json();
        let shown = map["seats"].as_str().expect("a text").as_bytes();
        let plan = get(&self.users[0], &format!("/api/plans/{}/", map["plan"].as_str().expect("an id")));
        let labels = labels(&plan.send(&self.app).await.expect(200).json());
        assert_eq!(map["capacity"], labels.len(), "{what}");
        assert_eq!(map["free"], shown.iter().filter(|letter| **letter == b'f').count(), "{what}");
        assert_eq!(available(&self.app, &self.users[0], 1).await, map["free"].as_i64().expect("a number"), "{what}");
        let rows = "SELECT b.seat_number, CASE WHEN b.status = 'booked' THEN 's' WHEN b.status = 'blocked' THEN 'b' ELSE 'h' END,
             COALESCE(o.expires_at, b.release_at, 9) FROM bookings b LEFT JOIN orders o ON o.id = b.order_id
             WHERE b.show_id = 1 AND b.status <> 'cancelled'";
        let mut holders: BTreeMap<i64, char> = BTreeMap::new();
        for row in self.app.sql(rows).await {
            let (seat, until): (i64, i64) = (row[0].parse().expect("a number"), row[2].parse().expect("a time"));
            if until > 2 {
                let before = holders.insert(seat, row[1].chars().next().expect("a letter"));
                assert_eq!(before, None, "{what}: seat {seat} has two holders");
            }
        }
        for (place, letter) in shown.iter().enumerate() {
            let (seat, letter) = (place as i64 + 1, char::from(*letter));
            let expected = match (labels.get(&seat), holders.get(&seat)) {
                // A number without a seat is blocked for good.
                (None, holder) => {
                    assert_eq!(holder, Some(&'b'), "{what}: {seat}");
                    '-'
                }
                (Some(_), None) => 'f',
                (Some(_), Some(holder)) => *holder,
            };
            assert_eq!(letter, expected, "{what}: seat {seat} in {map}");
            if let Some('s' | 'h') = holders.get(&seat) {
                assert_eq!(labels.get(&seat), self.labels.get(&seat), "{what}: seat {seat} changed its label");
            }
        }
    }
}

/// Returns the labels of a plan's seats by their numbers.
fn labels(plan: &Value) -> BTreeMap<i64, String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let rows = list(&plan["zones"]).iter().flat_map(|zone| list(&zone["rows"])).collect::<Vec<_>>();
    let seat = |row: &Value, seat: &Value| {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        (seat["seat"].as_i64().expect("a number"), text(&row["row_number"]) + &text(&seat["seat_number"]))
    };
    rows.iter().flat_map(|row| list(&row["seats"]).into_iter().map(|one| seat(row, &one)).collect::<Vec<_>>()).collect()
}
