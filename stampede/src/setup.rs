//! Gets users, tokens and shows from the server under test, through the contract's API.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{Timestamp, ToSpan};
use serde::Deserialize;
use sha2::Sha256;

use crate::client::Client;
use crate::group::{Hold, Order};
use crate::http::Target;
use crate::referee::{Row, Show};

/// The users that send the requests.
#[derive(Debug, Clone)]
pub enum Who {
    /// This many new users, registered and logged in over the API.
    SignUp(u32),
    /// Existing users, with tokens created here from the server's key.
    Mint { secret_key: String, user_ids: RangeInclusive<u64> },
    /// A file with one access token per line.
    File(std::path::PathBuf),
    /// No token, for paths that need none.
    Nobody,
}

/// Connections for the requests before and after the run.
const HELPERS: u32 = 4;
const TOKEN_SECONDS: i64 = 24 * 3600;

/// An access token for each user.
pub fn tokens(who: &Who, target: &Target) -> Result<Vec<String>, String> {
    match who {
        Who::SignUp(count) => sign_up(target, *count),
        Who::Mint { secret_key, user_ids } => {
            let now = Timestamp::now().as_second();
            Ok(user_ids.clone().map(|id| mint(secret_key, id, now)).collect())
        }
        Who::File(path) => {
            let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let tokens: Vec<_> =
                text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
            if tokens.is_empty() { Err(format!("{}: no tokens", path.display())) } else { Ok(tokens) }
        }
        Who::Nobody => Ok(vec![String::new()]),
    }
}

/// An access token as the contract's section 6 describes it, valid for a day from `now` (seconds since 1970).
pub fn mint(secret_key: &str, user_id: u64, now: i64) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let payload = format!(
        r#"{{"token_type":"access","exp":{},"iat":{now},"jti":"{:032x}","user_id":{user_id}}}"#,
        now + TOKEN_SECONDS,
        fastrand::u128(..)
    );
    let signed = format!("{}.{}", encode(br#"{"alg":"HS256","typ":"JWT"}"#), encode(payload.as_bytes()));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret_key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(signed.as_bytes());
    format!("{signed}.{}", encode(&mac.finalize().into_bytes()))
}

fn sign_up(target: &Target, count: u32) -> Result<Vec<String>, String> {
    #[derive(Deserialize)]
    struct Tokens {
        access: String,
    }
    let run = fastrand::u32(..);
    let password = format!("Sturdy-{:016x}", fastrand::u64(..));
    let made = for_each(
        count,
        |client, index| {
            let name = format!("stampede-{run:08x}-{index}");
            let form = serde_json::json!({
                "username": name, "email": format!("{name}@example.com"), "password": password, "password2": password,
            });
            expect(201, "signup", client.call("POST", "/api/signup/", "", &form.to_string())?)?;
            let form = serde_json::json!({ "username": name, "password": password });
            let body = expect(200, "login", client.call("POST", "/api/login/", "", &form.to_string())?)?;
            let tokens: Tokens = serde_json::from_slice(&body).map_err(|error| format!("login: {error}"))?;
            Ok(tokens.access)
        },
        &[target],
    )?;
    Ok(made)
}

/// Calls a function for each number below `count`, a few at a time, and returns the results in order; the first error
/// ends it. The numbers are spread over the targets in turn.
fn for_each<T: Send>(
    count: u32,
    work: impl Fn(&mut Client, u32) -> Result<T, String> + Sync,
    targets: &[&Target],
) -> Result<Vec<T>, String> {
    let results = Mutex::new(Vec::with_capacity(count as usize));
    for_each_in(count, targets, work, |index, value| {
        results.lock().expect("no thread panics while holding it").push((index, value));
    })?;
    let mut results = results.into_inner().expect("no thread panics while holding it");
    results.sort_unstable_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, value)| value).collect())
}

fn for_each_in<T: Send>(
    count: u32,
    targets: &[&Target],
    work: impl Fn(&mut Client, u32) -> Result<T, String> + Sync,
    done: impl Fn(u32, T) + Sync,
) -> Result<(), String> {
    let next = AtomicU32::new(0);
    let failed = AtomicBool::new(false);
    let helper = || -> Result<(), String> {
        let mut clients: Vec<Client> = targets.iter().map(|target| Client::new(target)).collect();
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            let client = index as usize % clients.len();
            match work(&mut clients[client], index) {
                Ok(value) => done(index, value),
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let helpers: Vec<_> = (0..HELPERS.min(count)).map(|_| scope.spawn(helper)).collect();
        helpers.into_iter().try_for_each(|helper| helper.join().expect("helpers do not panic"))
    })
}

fn expect(status: u16, what: &str, (found, body): (u16, Vec<u8>)) -> Result<Vec<u8>, String> {
    if found == status {
        return Ok(body);
    }
    let text = String::from_utf8_lossy(&body[..body.len().min(300)]);
    Err(format!("{what}: status {found} instead of {status}: {text}"))
}

#[derive(Deserialize)]
struct Listed {
    id: u64,
    date_time: Timestamp,
    total_seats: u32,
    available_seats: u32,
}

#[derive(Deserialize)]
struct Movie {
    id: u64,
}

/// Returns the ids of all movies, and their shows that start more than an hour from now, the emptiest first.
pub fn programme(target: &Target, token: &str) -> Result<(Vec<u64>, Vec<Show>), String> {
    let movies = movie_ids(target, token)?;
    let soon = Timestamp::now().saturating_add(1.hour()).map_err(|error| error.to_string())?;
    let mut shows: Vec<Show> = all_shows(&[target], token, &movies)?
        .filter(|show| show.date_time > soon)
        .map(|show| Show { id: show.id, total_seats: show.total_seats, available_before: show.available_seats })
        .collect();
    shows.sort_by_key(|show| (std::cmp::Reverse(show.available_before), show.id));
    Ok((movies, shows))
}

pub fn movie_ids(target: &Target, token: &str) -> Result<Vec<u64>, String> {
    let body = expect(200, "movies", Client::new(target).call("GET", "/api/movies/", token, "")?)?;
    let movies: Vec<Movie> = serde_json::from_slice(&body).map_err(|error| format!("movies: {error}"))?;
    Ok(movies.into_iter().map(|movie| movie.id).collect())
}

/// Returns the `available_seats` of all shows by id.
pub fn available(target: &Target, token: &str, movies: &[u64]) -> Result<HashMap<u64, u32>, String> {
    Ok(all_shows(&[target], token, movies)?.map(|show| (show.id, show.available_seats)).collect())
}

fn all_shows(targets: &[&Target], token: &str, movies: &[u64]) -> Result<impl Iterator<Item = Listed>, String> {
    let lists = for_each(
        movies.len() as u32,
        |client, index| {
            let path = format!("/api/movies/{}/shows/", movies[index as usize]);
            let body = expect(200, "shows", client.call("GET", &path, token, "")?)?;
            serde_json::from_slice::<Vec<Listed>>(&body).map_err(|error| format!("{path}: {error}"))
        },
        targets,
    )?;
    Ok(lists.into_iter().flatten())
}

/// A my-bookings list of this length may have been cut.
const CUT_LIST: usize = 1_000;

/// Reads the bookings of every user, spread over the servers in turn, and passes each list on as it arrives. Reads the
/// orders too if my-bookings may have been cut; if a server has no orders, its list is assumed to be complete.
pub fn my_bookings(targets: &[&Target], tokens: &[String], each: impl Fn(u32, Vec<Row>) + Sync) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Booked<'a> {
        id: u64,
        show: u64,
        seat_number: u32,
        status: &'a str,
    }
    for_each_in(
        tokens.len() as u32,
        targets,
        |client, index| {
            let token = &tokens[index as usize];
            let body = expect(200, "my-bookings", client.call("GET", "/api/my-bookings/", token, "")?)?;
            let rows: Vec<Booked> = serde_json::from_slice(&body).map_err(|error| format!("my-bookings: {error}"))?;
            let listed = rows.into_iter().map(|listed| row(listed.id, listed.show, listed.seat_number, listed.status));
            let mut rows = listed.collect::<Result<Vec<Row>, String>>()?;
            if rows.len() >= CUT_LIST {
                let listed: HashSet<u64> = rows.iter().map(|row| row.id).collect();
                for order in orders_of(client, token)?.unwrap_or_default() {
                    let missing = order.bookings.iter().filter(|booking| !listed.contains(&booking.id));
                    let missing =
                        missing.map(|booking| row(booking.id, order.show, booking.seat_number, &booking.status));
                    rows.extend(missing.collect::<Result<Vec<Row>, String>>()?);
                }
            }
            Ok(rows)
        },
        each,
    )
}

fn row(id: u64, show: u64, seat: u32, status: &str) -> Result<Row, String> {
    match status {
        "booked" | "cancelled" => Ok(Row { id, show, seat, booked: status == "booked" }),
        other => Err(format!("booking {id} has the status {other}")),
    }
}

/// Reads all orders of every user, spread over the servers in turn, and passes each list on as it arrives.
pub fn orders(targets: &[&Target], tokens: &[String], each: impl Fn(u32, Vec<Order>) + Sync) -> Result<(), String> {
    let read = |client: &mut Client, index: u32| {
        orders_of(client, &tokens[index as usize])?.ok_or_else(|| "orders: status 404".to_owned())
    };
    for_each_in(tokens.len() as u32, targets, read, each)
}

/// Returns all orders of a user, read page by page; None if the server has no such list.
fn orders_of(client: &mut Client, token: &str) -> Result<Option<Vec<Order>>, String> {
    #[derive(Deserialize)]
    struct Page {
        next: Option<String>,
        results: Vec<Order>,
    }
    let mut orders = Vec::new();
    let mut path = "/api/orders/?limit=100".to_owned();
    loop {
        let reply = client.call("GET", &path, token, "")?;
        if reply.0 == 404 && orders.is_empty() {
            return Ok(None);
        }
        let body = expect(200, "orders", reply)?;
        let mut page: Page = serde_json::from_slice(&body).map_err(|error| format!("{path}: {error}"))?;
        orders.append(&mut page.results);
        let Some(next) = page.next else { return Ok(Some(orders)) };
        // The URL may contain the server's public name.
        let start = next.find("/api/").ok_or_else(|| format!("{path}: the next page is {next}"))?;
        path = next[start..].to_owned();
    }
}

/// Returns a show's seat map: the name of its seat plan, and a letter for each seat.
pub fn seat_map(target: &Target, show: u64) -> Result<(String, String), String> {
    #[derive(Deserialize)]
    struct Map {
        plan: String,
        seats: String,
    }
    let path = format!("/api/shows/{show}/seats/");
    let body = expect(200, "seat map", Client::new(target).call("GET", &path, "", "")?)?;
    let map: Map = serde_json::from_slice(&body).map_err(|error| format!("{path}: {error}"))?;
    Ok((map.plan, map.seats))
}

/// Attempts for each seat, each by another user and after a longer delay.
const ASK_AGAIN: u32 = 4;

/// Tries to hold each of the seats (index of the show, seat) and releases it again, with any user that may. Passes the
/// outcome on: None if the hold was granted, otherwise the refusal. Leaves out a seat without a clear outcome (the
/// server is busy, or every user has as many holds as are allowed).
pub fn hold_again(
    targets: &[&Target],
    tokens: &[String],
    shows: &[Show],
    seats: &[(u32, u32)],
    each: impl Fn((u32, u32), Option<String>) + Sync,
) -> Result<(), String> {
    for_each_in(
        seats.len() as u32,
        targets,
        |client, index| {
            let (show, seat) = seats[index as usize];
            let path = format!("/api/shows/{}/holds/", shows[show as usize].id);
            let asked = format!("{{\"seats\":[{seat}]}}");
            // An earlier attempt whose reply was lost may hold the seat.
            let mut doubt = false;
            for again in 0..ASK_AGAIN {
                let token = &tokens[(index + again) as usize % tokens.len()];
                match client.call("POST", &path, token, &asked) {
                    Ok((201, body)) => {
                        // A hold that is not released expires by itself.
                        if let Ok(Hold { id, .. }) = serde_json::from_slice(&body) {
                            let _ = client.call("POST", &format!("/api/holds/{id}/release/"), token, "");
                        }
                        return Ok(Some(((show, seat), None)));
                    }
                    Ok((409, body)) => {
                        let refusal = String::from_utf8_lossy(&body).into_owned();
                        if refusal.contains("\"seat_taken\"") || refusal.contains("\"show_full\"") {
                            return Ok((!doubt).then_some(((show, seat), Some(refusal))));
                        }
                    }
                    _ => {
                        doubt = true;
                        thread::sleep(Duration::from_millis(100 << again));
                    }
                }
            }
            Ok(None)
        },
        |_, tried| {
            if let Some((seat, refusal)) = tried {
                each(seat, refusal);
            }
        },
    )
}

/// Returns the servers that answer with a list of movies.
pub fn alive<'a>(targets: &'a [Target], token: &str) -> Vec<&'a Target> {
    targets.iter().filter(|target| movie_ids(target, token).is_ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_token_follows_the_contract() {
        let token = mint("key", 7, 1_000);
        let parts: Vec<&str> = token.split('.').collect();
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        assert_eq!(decode(parts[0]), br#"{"alg":"HS256","typ":"JWT"}"#);
        let claims: serde_json::Value = serde_json::from_slice(&decode(parts[1])).unwrap();
        assert_eq!((&claims["user_id"], &claims["iat"], &claims["exp"]), (&7.into(), &1_000.into(), &87_400.into()));
        assert_eq!(claims["jti"].as_str().unwrap().len(), 32);
        let mut mac = Hmac::<Sha256>::new_from_slice(b"key").unwrap();
        mac.update(format!("{}.{}", parts[0], parts[1]).as_bytes());
        mac.verify_slice(&decode(parts[2])).unwrap();
    }
}
