//! Section 14: races. Run against one instance, and against two on one database.

use serde_json::json;

use super::rows::{Outcome, Row, Session, check, has, json_of};
use crate::support::{Call, Reply, race};

const TAKEN: &str = r#"{"detail":"This seat is already booked."}"#;
const FULL: &str = r#"{"detail":"This show is fully booked."}"#;
const CANCELLED: &str = r#"{"detail":"This booking is already cancelled."}"#;
const NAME_TAKEN: &str = r#"{"username":["A user with that username already exists."]}"#;

pub fn rows() -> Vec<Row> {
    vec![
        check("R01", "twelve simultaneous requests for one seat, five times: one gets it", |session| {
            Box::pin(one_seat(session))
        }),
        check("R02", "twelve simultaneous requests for two seats: two get one", |session| Box::pin(two_seats(session))),
        check("R03", "twelve simultaneous requests for twelve seats: all get one", |session| {
            Box::pin(twelve_seats(session))
        }),
        check("R04", "eight simultaneous requests cancel one booking, twenty times: one does it", |session| {
            Box::pin(one_cancels(session))
        }),
        check("R05", "six simultaneous signups under one name: one gets it", |session| Box::pin(one_name(session))),
        check("R06", "cancel and book one seat back and forth: never two holders", |session| {
            Box::pin(back_and_forth(session))
        }),
    ]
}

async fn one_seat(session: &mut Session) -> Outcome {
    let before = session.available(1).await?;
    for seat in 1..=5 {
        let replies = book_at_once(session, 1, &[seat; 12]).await;
        tally(&replies, &[(201, None, 1), (409, Some(&[TAKEN]), 11)])?;
    }
    let after = session.available(1).await?;
    has(after == before - 5, || format!("available_seats went from {before} to {after}"))
}

async fn two_seats(session: &mut Session) -> Outcome {
    let seats: Vec<i64> = (0..12).map(|n| 1 + n / 2 % 2).collect();
    let replies = book_at_once(session, 2, &seats).await;
    tally(&replies, &[(201, None, 2), (409, Some(&[TAKEN, FULL]), 10)])?;
    let free = session.available(2).await?;
    has(free == 0, || format!("available_seats is {free}"))
}

async fn twelve_seats(session: &mut Session) -> Outcome {
    let seats: Vec<i64> = (1..=12).collect();
    let replies = book_at_once(session, 1, &seats).await;
    tally(&replies, &[(201, None, 12)])
}

async fn one_cancels(session: &mut Session) -> Outcome {
    for _ in 0..20 {
        let booked = book(session, &session.world.ann.access.clone(), 1, 6).await?;
        let cancel = cancel(&booked, &session.world.ann.access);
        let replies = at_once(session, (0..8).map(|_| cancel()).collect()).await;
        tally(&replies, &[(200, None, 1), (409, Some(&[CANCELLED]), 7)])?;
    }
    Ok(())
}

async fn one_name(session: &mut Session) -> Outcome {
    let form = json!({
        "username": session.word("user"),
        "email": "user@example.com",
        "password": "Sturdy-Lantern-42",
        "password2": "Sturdy-Lantern-42",
    });
    let signup = || Call::post("/api/signup/").json(form.clone());
    let replies = at_once(session, (0..6).map(|_| signup()).collect()).await;
    tally(&replies, &[(201, None, 1), (400, Some(&[NAME_TAKEN]), 5)])
}

async fn back_and_forth(session: &mut Session) -> Outcome {
    let mut holder = session.world.ann.access.clone();
    let mut held = Some(book(session, &holder, 1, 6).await?);
    let before = session.available(1).await?;
    for _ in 0..20 {
        let booked = match held.take() {
            Some(booked) => booked,
            None => book(session, &holder, 1, 6).await?,
        };
        let mut calls = vec![cancel(&booked, &holder)()];
        calls.extend((0..7).map(|n| booking(user(session, n), 1, 6)));
        let replies = at_once(session, calls).await;
        has(replies[0].status == 200, || told(&replies))?;
        let mut winners = Vec::new();
        for (n, reply) in replies[1..].iter().enumerate() {
            match reply.status {
                201 => winners.push((n, reply)),
                409 => has(reply.text == TAKEN, || told(&replies))?,
                _ => return Err(told(&replies)),
            }
        }
        has(winners.len() <= 1, || told(&replies))?;
        if let Some((n, reply)) = winners.first() {
            holder = user(session, *n).to_string();
            held = Some(keep(session, reply, &holder)?);
        }
        // Several instances show a count within a second, which is awaited only after the last round.
        let is_alone = session.bases.len() == 1;
        let free = if is_alone { session.available(1).await? } else { session.stored_available(1).await? };
        let expected = before + i64::from(held.is_none());
        has(free == expected, || format!("available_seats is {free}, not {expected}"))?;
    }
    let (free, stored) = (session.available(1).await?, session.stored_available(1).await?);
    has(free == stored, || format!("available_seats is {free}, but {stored} are free"))
}

/// Ann and bob in turn.
fn user(session: &Session, n: usize) -> &str {
    let world = &session.world;
    if n.is_multiple_of(2) { &world.ann.access } else { &world.bob.access }
}

fn booking(token: &str, show: i64, seat: i64) -> Call {
    Call::post(format!("/api/shows/{show}/book/")).bearer(token).json(json!({"seat_number": seat}))
}

fn cancel(id: &str, token: &str) -> impl Fn() -> Call {
    let path = format!("/api/bookings/{id}/cancel/");
    move || Call::post(&path).bearer(token)
}

/// Books a seat that must be free; returns the booking's id.
async fn book(session: &mut Session, token: &str, show: i64, seat: i64) -> Outcome<String> {
    let reply = booking(token, show, seat).send(&session.app).await;
    has(reply.status == 201, || format!("seat {seat}: {} {}", reply.status, reply.text))?;
    keep(session, &reply, token)
}

/// Marks the new booking to be cancelled after the row; returns its id.
fn keep(session: &mut Session, reply: &Reply, token: &str) -> Outcome<String> {
    let booking = json_of(reply)?;
    session.hold(&booking, token.to_string());
    Ok(booking["id"].to_string())
}

async fn book_at_once(session: &mut Session, show: i64, seats: &[i64]) -> Vec<Reply> {
    let calls = seats.iter().enumerate();
    let calls = calls.map(|(n, seat)| booking(user(session, n), show, *seat)).collect();
    let replies = at_once(session, calls).await;
    for (n, reply) in replies.iter().enumerate().filter(|(_, reply)| reply.status == 201) {
        let token = user(session, n).to_string();
        // The tally reports a reply without a booking.
        let _ = keep(session, reply, &token);
    }
    replies
}

/// Sends all calls at the same time, to the instances in turn.
async fn at_once(session: &Session, calls: Vec<Call>) -> Vec<Reply> {
    let bases = session.bases.iter().cycle().cloned();
    race::at_once(calls.into_iter().zip(bases).collect()).await
}

/// Compares replies with the expected statuses, bodies and counts.
fn tally(replies: &[Reply], expected: &[(u16, Option<&[&str]>, usize)]) -> Outcome {
    let fits = |reply: &&Reply, status: u16, bodies: Option<&[&str]>| {
        reply.status == status && bodies.is_none_or(|bodies| bodies.contains(&reply.text.as_str()))
    };
    let count = |status, bodies| replies.iter().filter(|one| fits(one, status, bodies)).count();
    let all_fit = expected.iter().all(|(status, bodies, n)| count(*status, *bodies) == *n);
    has(all_fit, || told(replies))
}

fn told(replies: &[Reply]) -> String {
    let lines = replies.iter().map(|reply| format!("    got      {} {}\n", reply.status, reply.text));
    lines.collect()
}
