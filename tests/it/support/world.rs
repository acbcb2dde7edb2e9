//! The example world of the contract (section 1): movies, shows and users with known ids.

use futures_util::join;
use serde_json::json;

use super::{App, Call};

/// A customer who has signed up and logged in.
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
    /// Deactivated after logging in, and refused by every instance.
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
        // Sign up one after the other, for the ids; logins can run in any order.
        let ann = self.sign_up("ann", "Sturdy-Lantern-42").await;
        let bob = self.sign_up("bob", "Sturdy-Lantern-42").await;
        let inactive = self.sign_up("inactive", "Quiet-Harbour-71").await;
        let (ann, bob, inactive) = join!(self.log_in(ann), self.log_in(bob), self.log_in(inactive));
        self.succeed(&["deactivate-user", "inactive"]);
        World { ann, bob, inactive }
    }

    /// Creates a customer with the password `Sturdy-Lantern-42`, and logs in.
    pub async fn customer(&self, username: &str) -> User {
        let user = self.sign_up(username, "Sturdy-Lantern-42").await;
        self.log_in(user).await
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
