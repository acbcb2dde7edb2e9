//! What a reply says, without its bytes.

use super::measure::SAID_UNKNOWN;
use crate::group::Told;
use crate::http::{Reply, RequestId};
use crate::scenario::Kind;

/// What a reply says, without its bytes.
pub struct Answer {
    pub outcome: usize,
    pub close: bool,
    pub request_id: RequestId,
    /// The id in a 201.
    pub booking: Option<u64>,
    /// The request may have succeeded regardless of this answer.
    pub unknown: bool,
    /// It answers a repeat, and shows the outcome of the earlier attempts.
    pub settles: bool,
    pub group: Option<Box<GroupAnswer>>,
}

/// What a reply about a hold or an order says.
#[derive(Default)]
pub struct GroupAnswer {
    pub told: Option<Told>,
    /// The code of the refusal.
    pub code: String,
    /// Seats that a refusal names as taken.
    pub taken: Vec<u32>,
    /// The body of a success that does not match the request.
    pub text: String,
}

impl GroupAnswer {
    /// `fits` checks whether a success matches the request.
    pub fn of(kind: Kind, reply: &Reply, fits: impl Fn(&Told) -> bool) -> Self {
        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct Refusal {
            code: String,
            seats: serde_json::Value,
        }
        let body = reply.body.unwrap_or_default();
        let mut answer = GroupAnswer::default();
        if matches!(reply.status, 200 | 201) {
            answer.told = Told::parse(kind, body);
            if !answer.told.as_ref().is_some_and(fits) {
                answer.text = format!("{} {}", reply.status, String::from_utf8_lossy(body));
            }
        } else {
            let Refusal { code, seats } = serde_json::from_slice(body).unwrap_or_default();
            let seats = seats.as_array().into_iter().flatten();
            answer.taken = seats.filter_map(|seat| seat.as_u64()?.try_into().ok()).collect();
            answer.code = if code.is_empty() { reply.status.to_string() } else { code };
        }
        answer
    }
}

impl Answer {
    pub fn none(outcome: usize) -> Self {
        let request_id = RequestId::default();
        Answer { outcome, close: true, request_id, booking: None, unknown: true, settles: false, group: None }
    }

    pub fn of(kind: Kind, reply: &Reply) -> Self {
        let has = |code: &str| reply.body.is_none_or(|body| memchr::memmem::find(body, code.as_bytes()).is_some());
        // 502 and 504 come from a proxy, which does not know what the server did.
        let unknown = match reply.status {
            502 | 504 => true,
            503 => has("\"outcome_unknown\"") || has("\"timeout\""),
            _ => false,
        };
        let outcome = if unknown && reply.status == 503 { SAID_UNKNOWN } else { reply.status.into() };
        let booking = (kind == Kind::Book && reply.status == 201).then(|| reply.body.and_then(booking_id)).flatten();
        let &Reply { close, request_id, .. } = reply;
        Answer { outcome, close, request_id, booking, unknown, settles: false, group: None }
    }
}

/// The value of `id` in a flat object. A booking contains the quoted key only once.
fn booking_id(body: &[u8]) -> Option<u64> {
    let key = b"\"id\":";
    let rest = body[memchr::memmem::find(body, key)? + key.len()..].trim_ascii_start();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok().filter(|&id| id > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: Option<&[u8]>) -> Answer {
        Answer::of(Kind::Book, &Reply { status, close: false, request_id: RequestId::default(), body })
    }

    #[test]
    fn the_id_is_found_in_any_position() {
        for (body, id) in [
            (&br#"{"id":4,"show":1}"#[..], Some(4)),
            (br#"{"show":1,"show_id":9,"id": 40}"#, Some(40)),
            (br#"{"show":1}"#, None),
            (br#"{"id":"4"}"#, None),
            (br#"{"id":0}"#, None),
            (br#"{"id":99999999999999999999999}"#, None),
            (b"", None),
        ] {
            assert_eq!(booking_id(body), id, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn refusals_with_an_unknown_outcome() {
        let unknown = |status, body: &str| answer(status, Some(body.as_bytes())).unknown;
        assert!(unknown(503, r#"{"detail":"x","code":"outcome_unknown"}"#));
        assert!(unknown(503, r#"{"detail":"x","code":"timeout"}"#));
        assert!(unknown(502, "") && unknown(504, ""));
        assert!(answer(503, None).unknown);
        assert!(!unknown(503, r#"{"detail":"x","code":"busy"}"#));
        assert!(!unknown(409, "") && !unknown(500, "") && !unknown(400, "") && !unknown(201, ""));
    }
}
