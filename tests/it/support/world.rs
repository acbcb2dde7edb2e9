//! The example world of the contract (section 1): movies, shows and users with known ids.

use std::collections::BTreeMap;
use std::sync::Mutex;

use jiff::Timestamp;
use marquee::identity::hashing;
use marquee::identity::tokens::{TokenKeys, Tokens};
use marquee::search;
use serde_json::json;

use super::{App, Call};

/// A customer with an account and tokens.
#[derive(Clone, Debug)]
pub struct User {
    pub id: i64,
    pub username: String,
    pub email: String,
    pub password: String,
    pub access: String,
    pub refresh: String,
}

/// Movie 1, "The Long Take", 142 minutes, has shows 1 (50 seats, 2035-06-01T18:30:00Z, Screen 1),
/// 2 (2 seats, 2035-06-02T18:30:00Z, Screen 2) and 3 (10 seats, past, Screen 1).
/// Movie 2, "No Shows Tonight", 95 minutes, has none. The users have the ids 1, 2 and 3.
pub struct World {
    pub ann: User,
    pub bob: User,
    /// Deactivated, with tokens, and refused by every instance.
    pub inactive: User,
}

pub fn booking(user: &User, show: i64, seat: i64) -> Call {
    Call::post(format!("/api/shows/{show}/book/")).bearer(&user.access).json(json!({"seat_number": seat}))
}

impl App {
    /// Fills an empty database with the contract's example world.
    pub async fn world(&self) -> World {
        self.load(json!({
            "movies": [
                {"id": 1, "title": "The Long Take", "duration_minutes": 142},
                {"id": 2, "title": "No Shows Tonight", "duration_minutes": 95},
            ],
            "screens": [{"id": 1, "name": "Screen 1"}, {"id": 2, "name": "Screen 2"}],
            "shows": [
                {"id": 1, "movie": 1, "screen": 1, "date_time": "2035-06-01T18:30:00Z", "total_seats": 50},
                {"id": 2, "movie": 1, "screen": 2, "date_time": "2035-06-02T18:30:00Z", "total_seats": 2},
                {"id": 3, "movie": 1, "screen": 1, "date_time": "2020-01-01T12:00:00Z", "total_seats": 10},
            ],
        }));
        // One after the other, for the ids.
        let ann = self.customer("ann").await;
        let bob = self.customer("bob").await;
        let inactive = self.account("inactive", "Quiet-Harbour-71").await;
        self.sql(&format!("UPDATE users SET is_active = 0 WHERE id = {}", inactive.id)).await;
        World { ann, bob, inactive }
    }

    /// Makes the search words of rows that a test has written itself.
    pub fn make_words(&self) {
        self.succeed(&["migrate"]);
    }

    /// Creates a customer with the password `Sturdy-Lantern-42`, and tokens.
    pub async fn customer(&self, username: &str) -> User {
        self.account(username, "Sturdy-Lantern-42").await
    }

    /// Creates an account and its tokens as signing up and logging in would, without the hashing that would take most
    /// of many tests' time. Servers whose clock is not the test's issue their own tokens.
    async fn account(&self, username: &str, password: &'static str) -> User {
        if self.has_own_clocks() {
            let user = self.sign_up(username, password).await;
            return self.log_in(user).await;
        }
        let (email, hash, now) = (format!("{username}@example.com"), hash_of(password), Timestamp::now());
        self.sql(&format!(
            "INSERT INTO users (username, username_key, email, password, date_joined, words_version) VALUES \
             ('{username}', '{key}', '{email}', '{hash}', {joined}, 1)",
            key = username.to_lowercase(),
            joined = now.as_microsecond(),
        ))
        .await;
        let found = self.sql(&format!("SELECT id FROM users WHERE username = '{username}'")).await;
        let id = found[0][0].parse().expect("an id is a number");
        let words = search::words_of(&[username, &email]);
        let rows: Vec<String> =
            words.iter().map(|word| format!("({}, '{word}', {id})", search::USERS.number)).collect();
        self.sql(&format!("INSERT INTO search_words (kind, word, object_id) VALUES {}", rows.join(", "))).await;
        let keys = TokenKeys::new(self.secret_key.as_bytes(), 3_600, 604_800);
        let Tokens { access, refresh } = keys.issue_pair(id, now.as_second());
        User { id, username: username.to_owned(), email, password: password.to_owned(), access, refresh }
    }

    async fn sign_up(&self, username: &str, password: &str) -> User {
        let email = format!("{username}@example.com");
        let form = json!({"username": username, "email": email, "password": password, "password2": password});
        let reply = Call::post("/api/signup/").json(form).send(self).await.expect(201).json();
        User {
            id: reply["id"].as_i64().expect("a user has an id"),
            username: username.to_owned(),
            email,
            password: password.to_owned(),
            access: String::new(),
            refresh: String::new(),
        }
    }

    async fn log_in(&self, user: User) -> User {
        let form = json!({"username": user.username, "password": user.password});
        let reply = Call::post("/api/login/").json(form).send(self).await.expect(200).json();
        let token = |name: &str| reply[name].as_str().unwrap_or_else(|| panic!("no {name} token: {reply}")).to_owned();
        User { access: token("access"), refresh: token("refresh"), ..user }
    }
}

/// Returns a hash as the server would store it, which is computed once per run.
fn hash_of(password: &'static str) -> String {
    static HASHES: Mutex<BTreeMap<&str, String>> = Mutex::new(BTreeMap::new());
    let mut hashes = HASHES.lock().expect("no holder panics");
    hashes.entry(password).or_insert_with(|| hashing::hash(password)).clone()
}
