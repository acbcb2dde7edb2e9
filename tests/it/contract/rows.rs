//! The notation of the tables, and what runs them.
//!
//! A step is a request and the reply it must get, both written as the contract writes them:
//!
//! - `POST /api/shows/1/book/ {"seat_number":2} — as bob`: method, path, body, and after dashes
//!   the special parts: `as ann`, `as bob`, `no token`, `no Content-Type`, or a header. Protected
//!   endpoints get the token of ann, unless the step says otherwise. `(empty body)` sends one.
//! - `{…,"email":"nope"}` is a valid signup form with the shown fields changed; `aaa…(250)` is the
//!   letter before the dots, 250 times; `<FF>` is that byte.
//! - `<user>` is a name that no other row uses; `<ann>`, `<ann refresh>`, `<bob>` are tokens, so
//!   are the names of [`tokens::made`]; `<JWT>` is the token given last.
//! - `409 {"detail":"…"}`: status and body. `404/405` is either. Without a body any will do.
//!   `Movies`, `Shows, available 3: 10, …`, `Tokens`, `BadAccess("…")`,
//!   `Booking(<a>, show 1, seat 2, booked)` and `[ Booking(…); … ]` are those of the contract; a
//!   list that ends with `…` may go on. After dashes: headers, and `no body`.
//! - Errors are compared exactly, of other objects only the shown fields. In a reply `<JWT>` is any
//!   token, `<id>` any id, another name in brackets an id that later steps may name, and text that
//!   ends with `…` goes on.
//!
//! Every reply is also held against what the contract says of all replies ([`conventions`]).

use std::collections::HashMap;

use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::tokens;
use crate::support::{App, Call, Engine, Options, Reply, World, others_changes_are_seen};

pub type Outcome<T = ()> = Result<T, String>;
pub type Check = for<'a> fn(&'a mut Session) -> LocalBoxFuture<'a, Outcome>;

pub struct Row {
    /// As in the contract; empty for what the contract leaves open.
    pub id: String,
    case: String,
    what: What,
}

enum What {
    Steps(Vec<(String, String)>),
    Check(Check),
}

pub fn row(id: &str, case: &str, steps: &[(&str, &str)]) -> Row {
    let steps = steps.iter().map(|(ask, answer)| (ask.to_string(), answer.to_string()));
    Row { id: id.into(), case: case.into(), what: What::Steps(steps.collect()) }
}

/// A row that the notation cannot say.
pub fn check(id: &str, case: &str, check: Check) -> Row {
    Row { what: What::Check(check), ..row(id, case, &[]) }
}

/// Runs all rows against a fresh server with the example world, and reports those that fail.
pub async fn run(engine: Engine, instances: usize, rows: Vec<Row>) {
    let mut session = Session::start(engine, instances).await;
    let mut faults = String::new();
    let mut failed = Vec::new();
    for row in &rows {
        let Err(fault) = session.run(row).await else { continue };
        failed.push(if row.id.is_empty() { &row.case } else { &row.id });
        faults += &format!("{} {}\n{fault}\n", row.id, row.case);
    }
    assert!(failed.is_empty(), "{} of {} rows fail on {engine:?}: {failed:?}\n\n{faults}", failed.len(), rows.len());
}

/// What the rows of one section share.
pub struct Session {
    pub app: App,
    pub world: World,
    /// The addresses of all instances.
    pub bases: Vec<String>,
    /// What the words in `<>` stand for.
    words: HashMap<String, String>,
    users: usize,
    /// Bookings of the present row, with the token that can cancel them.
    held: Vec<(String, String)>,
    /// When each booking says that it was made.
    created: HashMap<String, Value>,
}

impl Session {
    async fn start(engine: Engine, instances: usize) -> Session {
        let options = Options { instances, ..Options::default() };
        let app = App::start_with(engine, options).await;
        let world = app.world().await;
        Session {
            bases: (0..instances).map(|n| app.instance(n).base.to_string()).collect(),
            app,
            world,
            words: HashMap::new(),
            users: 0,
            held: Vec::new(),
            created: HashMap::new(),
        }
    }

    async fn run(&mut self, row: &Row) -> Outcome {
        self.users += 1;
        self.words = tokens::made(&self.app.secret_key, &self.world)
            .into_iter()
            .chain([
                ("ann", self.world.ann.access.clone()),
                ("ann refresh", self.world.ann.refresh.clone()),
                ("bob", self.world.bob.access.clone()),
                ("user", format!("kestrel{}", self.users)),
            ])
            .map(|(word, text)| (word.to_string(), text))
            .collect();
        let outcome = match &row.what {
            What::Check(check) => check(self).await,
            What::Steps(steps) => self.steps(steps).await,
        };
        self.cancel_all().await;
        outcome
    }

    async fn steps(&mut self, steps: &[(String, String)]) -> Outcome {
        for (ask, answer) in steps {
            self.step(ask, answer).await?;
        }
        Ok(())
    }

    /// Sends `ask` and holds the reply against `answer`.
    pub async fn step(&mut self, ask: &str, answer: &str) -> Outcome<Reply> {
        let request = self.request(ask)?;
        let reply =
            request.send(&self.app).await.map_err(|fault| format!("    request  {}\n    {fault}\n", clip(ask)))?;
        let judged = conventions(&request, &reply).and_then(|()| self.compare(answer, &reply));
        match judged {
            Ok(()) => {
                if reply.status == 201
                    && let Ok(booking) = serde_json::from_str::<Value>(&reply.text)
                    && booking.get("seat_number").is_some()
                {
                    let token = request.authorization.as_deref().and_then(|it| it.strip_prefix("Bearer "));
                    self.hold(&booking, token.unwrap_or_default().to_string());
                }
                Ok(reply)
            }
            Err(why) => Err(format!(
                "    request  {}\n    expected {}\n    got      {} {}\n    because  {why}\n",
                clip(ask),
                clip(answer),
                reply.status,
                clip(&reply.text),
            )),
        }
    }

    /// Remembers a booking, for [`Session::cancel_all`].
    pub fn hold(&mut self, booking: &Value, token: String) {
        self.held.push((booking["id"].to_string(), token));
    }

    /// Frees the seats of the row that are not free yet.
    pub async fn cancel_all(&mut self) {
        for (id, token) in std::mem::take(&mut self.held) {
            let path = format!("/api/bookings/{id}/cancel/");
            Call::post(&path).bearer(&token).send(&self.app).await;
        }
    }

    /// How many seats of a show of movie 1 are free.
    pub async fn available(&mut self, show: i64) -> Outcome<i64> {
        if self.bases.len() > 1 {
            others_changes_are_seen().await;
        }
        let reply = self.step("GET /api/movies/1/shows/", "200").await?;
        let shows = json_of(&reply)?;
        let shows = shows.as_array().ok_or("shows are no list")?;
        shows
            .iter()
            .find(|one| one["id"] == show)
            .and_then(|show| show["available_seats"].as_i64())
            .ok_or_else(|| format!("no available_seats of show {show} in {}", reply.text))
    }

    /// How many seats of a show are free in the database, where the changes of all instances are seen immediately.
    pub async fn stored_available(&self, show: i64) -> Outcome<i64> {
        let free = self.app.sql(&format!("SELECT total_seats - seats_taken FROM shows WHERE id = {show}")).await;
        free[0][0].parse().map_err(|error| format!("{free:?}: {error}"))
    }

    /// What `<word>` stands for in this row.
    pub fn word(&self, word: &str) -> String {
        self.words[word].clone()
    }

    fn fill(&self, text: &str) -> String {
        let fill = |text: String, (word, with): (&String, &String)| text.replace(&format!("<{word}>"), with);
        self.words.iter().fold(text.to_string(), fill)
    }

    fn request(&self, ask: &str) -> Outcome<Request> {
        let ask = self.fill(&unabbreviate(ask));
        let mut notes = ask.split(" — ");
        let mut line = notes.next().unwrap_or_default().splitn(3, ' ');
        let method = line.next().unwrap_or_default().to_string();
        let path = line.next().ok_or("a request has a method and a path")?.to_string();
        let body = match line.next() {
            None => None,
            Some("(empty body)") => Some(Vec::new()),
            Some(form) if form.starts_with("{…") => Some(signup_form(form, &self.words["user"])?.into_bytes()),
            Some(text) => Some(bytes(text)),
        };
        let is_protected = ["movies/", "shows/", "bookings/", "my-bookings/"]
            .iter()
            .any(|start| path.strip_prefix("/api/").is_some_and(|rest| rest.starts_with(start)));
        let ann = || Some(format!("Bearer {}", self.world.ann.access));
        let bob = || Some(format!("Bearer {}", self.world.bob.access));
        let mut request = Request {
            content_type: body.is_some().then(|| "application/json".to_string()),
            authorization: if is_protected { ann() } else { None },
            method,
            path,
            body,
            headers: Vec::new(),
        };
        for note in notes {
            match note {
                "as ann" => request.authorization = ann(),
                "as bob" => request.authorization = bob(),
                "no token" => request.authorization = None,
                "no Content-Type" => request.content_type = None,
                header => {
                    let (name, value) = header.split_once(':').ok_or(format!("{header}?"))?;
                    let value = value.trim().replace("(empty)", "");
                    match name {
                        "Content-Type" => request.content_type = Some(value),
                        "Authorization" => request.authorization = Some(value),
                        _ => request.headers.push((name.to_string(), value)),
                    }
                }
            }
        }
        Ok(request)
    }

    fn compare(&mut self, answer: &str, reply: &Reply) -> Outcome {
        let answer = unabbreviate(&answer.replace("<user>", &self.words["user"]));
        let mut notes = answer.split(" — ");
        let first = notes.next().unwrap_or_default();
        let (statuses, body) = first.split_once(' ').unwrap_or((first, ""));
        if !statuses.split('/').any(|status| status == reply.status.to_string()) {
            return Err(format!("status is not {statuses}"));
        }
        if !body.is_empty() {
            let expected = pattern(body, reply.status)?;
            // Tokens come alone; other objects may have grown.
            let may_grow = reply.status < 400 && expected.get("access").is_none();
            self.matches("body", &expected, &json_of(reply)?, may_grow)?;
        }
        for note in notes {
            match note.split_once(": ") {
                Some(("Vary", value)) => has(header(reply, "vary").contains(value), || note.into()),
                // Types other than JSON may name their charset.
                Some(("Content-Type", value)) if value != "application/json" => {
                    let media_type = header(reply, "content-type");
                    let essence = media_type.split(';').next().unwrap_or_default();
                    has(essence == value, || format!("Content-Type is {media_type:?}"))
                }
                Some((name, value)) => {
                    has(header(reply, name) == value, || format!("{name} is {:?}, not {value:?}", header(reply, name)))
                }
                None => has(note == "no body" && reply.text.is_empty(), || note.into()),
            }?;
        }
        Ok(())
    }

    fn matches(&mut self, at: &str, expected: &Value, got: &Value, may_grow: bool) -> Outcome {
        let differs = || format!("{at} is {}, not {}", clip(&got.to_string()), clip(&expected.to_string()));
        match (expected, got) {
            (Value::String(word), got) if word.starts_with('<') && word.ends_with('>') => {
                self.matches_word(word, got).then_some(()).ok_or_else(differs)
            }
            (Value::String(start), Value::String(got)) if start.ends_with('…') => {
                let start = start.trim_end_matches('…');
                has(got.starts_with(start) && got.len() > start.len(), differs)
            }
            (Value::Object(expected), Value::Object(got)) => {
                for (name, expected) in expected {
                    let at = format!("{at}.{name}");
                    let got = got.get(name).ok_or(format!("{at} is missing"))?;
                    self.matches(&at, expected, got, may_grow)?;
                }
                has(may_grow || expected.len() == got.len(), differs)?;
                self.never_changes(got)
            }
            (Value::Array(expected), Value::Array(got)) => {
                let (expected, goes_on) = match expected.split_last() {
                    Some((Value::String(last), rest)) if last == "…" => (rest, true),
                    _ => (expected.as_slice(), false),
                };
                has(got.len() == expected.len() || goes_on && got.len() > expected.len(), || {
                    format!("{at} has {} entries, not {}", got.len(), expected.len())
                })?;
                for (n, (expected, got)) in expected.iter().zip(got).enumerate() {
                    self.matches(&format!("{at}[{n}]"), expected, got, may_grow)?;
                }
                newest_first(got)
            }
            _ => has(expected == got, differs),
        }
    }

    fn matches_word(&mut self, word: &str, got: &Value) -> bool {
        let text = got.as_str().unwrap_or_default();
        match word {
            "<JWT>" => {
                self.words.insert("JWT".into(), text.into());
                is_jwt(text)
            }
            "<time>" => time(text).is_some(),
            "<now>" => time(text).is_some_and(|at| at.duration_until(Timestamp::now()).as_secs().abs() < 60),
            "<id>" => got.as_i64().is_some_and(|id| id > 0),
            name => {
                let name = name.trim_matches(['<', '>']).to_string();
                let id = got.to_string();
                let fits = match self.words.get(&name) {
                    Some(known) => *known == id,
                    // Two names never stand for one id.
                    None => !self.words.values().any(|other| *other == id),
                };
                self.words.insert(name, id);
                fits && got.as_i64().is_some_and(|id| id > 0)
            }
        }
    }

    /// A booking keeps the moment it was made at, through every listing and its cancellation.
    fn never_changes(&mut self, object: &serde_json::Map<String, Value>) -> Outcome {
        let (Some(id), Some(created)) = (object.get("id"), object.get("created_at")) else {
            return Ok(());
        };
        let before = self.created.entry(id.to_string()).or_insert_with(|| created.clone());
        has(before == created, || format!("created_at of {id} is {created}, and was {before}"))
    }
}

/// One request of a table.
struct Request {
    method: String,
    path: String,
    body: Option<Vec<u8>>,
    content_type: Option<String>,
    authorization: Option<String>,
    headers: Vec<(String, String)>,
}

impl Request {
    async fn send(&self, app: &App) -> Outcome<Reply> {
        let mut call = Call::method(&self.method, &self.path);
        if let Some(value) = &self.authorization {
            call = call.header("Authorization", value);
        }
        for (name, value) in &self.headers {
            call = call.header(name, value);
        }
        if let Some(body) = &self.body {
            call = call.body(self.content_type.as_deref(), body.clone());
        }
        call.try_send_to(app.base()).await
    }

    fn accepts_html(&self) -> bool {
        let mut accepts = self.headers.iter().filter(|(name, _)| name == "Accept");
        accepts.any(|(_, value)| value.contains("text/html"))
    }
}

/// What the contract says of every reply (its sections 1, 3 and 14).
fn conventions(request: &Request, reply: &Reply) -> Outcome {
    has(reply.status < 500, || "nothing a client sends is our fault".into())?;
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        has(header(reply, name) == value, || format!("{name} is {:?}", header(reply, name)))?;
    }
    if reply.status == 401 {
        let challenge = header(reply, "www-authenticate");
        has(challenge == "Bearer realm=\"api\"", || format!("WWW-Authenticate is {challenge:?}"))?;
    }
    let Some(methods) = methods_of(&request.path) else {
        return Ok(());
    };
    let allow = header(reply, "allow");
    has(allow == methods, || format!("Allow is {allow:?}, not {methods:?}"))?;
    if reply.text.is_empty() || request.accepts_html() {
        return Ok(());
    }
    let media_type = header(reply, "content-type");
    has(media_type == "application/json", || format!("Content-Type is {media_type:?}"))?;
    let compact = json_of(reply)?.to_string();
    has(compact == reply.text, || "the JSON is not compact".into())
}

/// The `Allow` of an endpoint of the API; none for other paths.
fn methods_of(path: &str) -> Option<&'static str> {
    let path = path.split('?').next().unwrap_or_default();
    let is_id = |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = path.strip_prefix("/api/")?.strip_suffix('/')?.split('/').collect();
    match parts[..] {
        ["signup"] | ["login"] | ["token", "refresh"] => Some("POST, OPTIONS"),
        ["movies"] | ["my-bookings"] => Some("GET, HEAD, OPTIONS"),
        ["movies", id, "shows"] if is_id(id) => Some("GET, HEAD, OPTIONS"),
        ["shows", id, "book"] | ["bookings", id, "cancel"] if is_id(id) => Some("POST, OPTIONS"),
        _ => None,
    }
}

/// A valid signup form with the shown fields changed; the email follows the username.
fn signup_form(text: &str, user: &str) -> Outcome<String> {
    let changes = text.replacen("{…,", "{", 1).replacen("{…", "{", 1);
    let changes: Value = serde_json::from_str(&changes).map_err(|e| format!("{changes}: {e}"))?;
    let username = changes["username"].as_str().unwrap_or(user);
    let mut form = json!({
        "username": username,
        "email": format!("{username}@example.com"),
        "password": "Sturdy-Lantern-42",
        "password2": "Sturdy-Lantern-42",
    });
    for (name, value) in changes.as_object().ok_or("a form is an object")? {
        form[name] = value.clone();
    }
    Ok(form.to_string())
}

/// The reply's body as the contract abbreviates it, as JSON to match.
fn pattern(text: &str, status: u16) -> Outcome<Value> {
    let inside = |start: &str, end: &str| text.strip_prefix(start)?.strip_suffix(end);
    if text == "Movies" {
        return Ok(json!([
            {"id": 1, "title": "The Long Take", "duration_minutes": 142},
            {"id": 2, "title": "No Shows Tonight", "duration_minutes": 95},
        ]));
    }
    if text == "Tokens" {
        return Ok(json!({"refresh": "<JWT>", "access": "<JWT>"}));
    }
    if let Some(free) = text.strip_prefix("Shows, available ") {
        return free.split(", ").map(show).collect();
    }
    if let Some(message) = inside("BadAccess(\"", "\")") {
        return Ok(json!({
            "detail": "Given token not valid for any token type",
            "code": "token_not_valid",
            "messages": [{"token_class": "AccessToken", "token_type": "access", "message": message}],
        }));
    }
    if let Some(fields) = inside("Booking(", ")") {
        return booking(fields, status);
    }
    if let Some(list) = inside("[ ", " ]") {
        let (list, goes_on) = match list.strip_suffix(" …") {
            Some(list) => (list, true),
            None => (list, false),
        };
        let bookings = list.split("; ").map(|one| pattern(one, status));
        return bookings.chain(goes_on.then(|| Ok(json!("…")))).collect();
    }
    serde_json::from_str(text).map_err(|error| format!("{text}: {error}"))
}

/// `3: 10` is show 3 with ten seats free.
fn show(text: &str) -> Outcome<Value> {
    let (id, free) = text.split_once(": ").ok_or(format!("{text}?"))?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
    let facts = show_facts(id)?;
    Ok(json!({
        "id": number(id)?,
        "movie": 1,
        "movie_title": "The Long Take",
        "screen_name": facts.0,
        "date_time": facts.1,
        "total_seats": facts.2,
        "available_seats": number(free)?,
    }))
}

/// Screen, start and size of the shows in the example world.
fn show_facts(id: &str) -> Outcome<(&'static str, &'static str, u32)> {
    match id {
        "1" => Ok(("Screen 1", "2035-06-01T18:30:00Z", 50)),
        "2" => Ok(("Screen 2", "2035-06-02T18:30:00Z", 2)),
        "3" => Ok(("Screen 1", "2020-01-01T12:00:00Z", 10)),
        _ => Err(format!("show {id}?")),
    }
}

/// `<a>, show 1, seat 2, booked`
fn booking(fields: &str, status: u16) -> Outcome<Value> {
    let unclear = || format!("Booking({fields})?");
    let [id, show, seat, state] = fields.split(", ").collect::<Vec<_>>()[..] else {
        return Err(unclear());
    };
    let show = show.strip_prefix("show ").ok_or_else(unclear)?;
    let seat = seat.strip_prefix("seat ").ok_or_else(unclear)?;
    let facts = show_facts(show)?;
    Ok(json!({
        "id": id,
        "show": show.parse::<u64>().map_err(|_| unclear())?,
        "movie_title": "The Long Take",
        "screen_name": facts.0,
        "date_time": facts.1,
        "seat_number": seat.parse::<u64>().map_err(|_| unclear())?,
        "status": state,
        "created_at": if status == 201 { "<now>" } else { "<time>" },
    }))
}

/// `aaa…(250)`: the letter before the dots, 250 times in all.
fn unabbreviate(text: &str) -> String {
    let Some((before, after)) = text.split_once("…(") else {
        return text.into();
    };
    let letter = before.chars().next_back().unwrap_or_default();
    let (count, after) = after.split_once(')').unwrap_or_default();
    let count = count.parse().unwrap_or_default();
    let before = before.trim_end_matches(letter);
    format!("{before}{}{}", letter.to_string().repeat(count), unabbreviate(after))
}

fn bytes(text: &str) -> Vec<u8> {
    let parts: Vec<&[u8]> = text.split("<FF>").map(str::as_bytes).collect();
    parts.join(&0xFF)
}

/// Lists of bookings are newest first.
fn newest_first(list: &[Value]) -> Outcome {
    let made: Vec<_> = list.iter().filter_map(|one| time(one["created_at"].as_str()?)).collect();
    has(made.is_sorted_by(|a, b| a >= b), || format!("not newest first: {made:?}"))
}

/// A time as the contract writes it: UTC, with six digits of microseconds or none.
fn time(text: &str) -> Option<Timestamp> {
    const WHOLE: &str = "dddd-dd-ddTdd:dd:ddZ";
    const PARTS: &str = "dddd-dd-ddTdd:dd:dd.ddddddZ";
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { 'd' } else { c }).collect();
    let is_whole = shape == WHOLE;
    let has_parts = shape == PARTS && !text.ends_with(".000000Z");
    if is_whole || has_parts { text.parse().ok() } else { None }
}

fn is_jwt(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let is_base64url = |part: &&str| {
        let is_digit = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        !part.is_empty() && part.bytes().all(is_digit)
    };
    parts.len() == 3 && parts.iter().all(is_base64url)
}

pub fn has(holds: bool, fault: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(fault()) }
}

pub fn json_of(reply: &Reply) -> Outcome<Value> {
    serde_json::from_str(&reply.text).map_err(|error| format!("not JSON, {error}: {}", clip(&reply.text)))
}

pub fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
    reply.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The beginning of a long text.
fn clip(text: &str) -> String {
    let mut clipped: String = text.chars().take(500).collect();
    if clipped.len() < text.len() {
        clipped += "…";
    }
    clipped
}
