//! The part of HTTP/1.1 that the contract needs: requests written as bytes, replies read in pieces of any size.

use std::fmt;
use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};

/// A reply with a longer head is refused.
const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 64;

/// A server's address and name.
#[derive(Debug, Clone)]
pub struct Target {
    pub url: String,
    pub address: SocketAddr,
    /// `Host: …`, with its line end.
    host_line: Vec<u8>,
}

impl Target {
    /// Parses `http://host[:port]` and looks up the name once. The error is a message for people.
    pub fn parse(url: &str) -> Result<Target, String> {
        let trimmed = url.trim_end_matches('/');
        let host = trimmed.strip_prefix("http://").filter(|host| !host.is_empty() && !host.contains(['/', '@', ' ']));
        let host = host.ok_or_else(|| format!("{url}: expected http://host:port"))?;
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { host.to_owned() } else { format!("{host}:80") };
        let mut addresses = authority.to_socket_addrs().map_err(|error| format!("{url}: {error}"))?;
        let address = addresses.next().ok_or_else(|| format!("{url}: no address"))?;
        Ok(Target { url: trimmed.to_owned(), address, host_line: format!("Host: {host}\r\n").into_bytes() })
    }
}

/// Returns `Authorization: Bearer …` with its line end; nothing for an empty token.
pub fn authorization_line(token: &str) -> Vec<u8> {
    if token.is_empty() { Vec::new() } else { format!("Authorization: Bearer {token}\r\n").into_bytes() }
}

/// Writes a request. `headers` are complete lines; a POST without a body sends `Content-Length: 0`.
pub fn write_request(
    out: &mut Vec<u8>,
    target: &Target,
    method: &str,
    path: fmt::Arguments,
    headers: &[u8],
    body: &[u8],
) {
    let written = "writing to memory cannot fail";
    write!(out, "{method} {path} HTTP/1.1\r\n").expect(written);
    out.extend_from_slice(&target.host_line);
    out.extend_from_slice(headers);
    if !body.is_empty() {
        write!(out, "Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()).expect(written);
    } else if method == "POST" {
        out.extend_from_slice(b"Content-Length: 0\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
}

/// `X-Request-Id` as sixteen bytes if it is 32 hex digits, with or without hyphens; otherwise zero.
pub type RequestId = [u8; 16];

/// A complete reply.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    pub status: u16,
    /// The server closes the connection after this reply.
    pub close: bool,
    pub request_id: RequestId,
    /// None if it is longer than the reader keeps.
    pub body: Option<&'a [u8]>,
}

/// The result of reading some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Fed<'a> {
    /// The reply is not complete yet; all bytes were consumed.
    More,
    /// A reply ended after the first `used` bytes. What follows belongs to no request of ours.
    Done { reply: Reply<'a>, used: usize },
}

/// The bytes are not a reply that we can read: not HTTP/1, or without `Content-Length`. A chunked reply is reported as
/// an error rather than half understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

#[derive(Clone, Copy)]
struct Head {
    bytes: usize,
    body_bytes: usize,
    status: u16,
    close: bool,
    request_id: RequestId,
}

impl Head {
    fn reply<'a>(&self, body: Option<&'a [u8]>) -> Reply<'a> {
        Reply { status: self.status, close: self.close, request_id: self.request_id, body }
    }
}

/// Reads replies, one after the other, from pieces of any size.
pub struct ReplyReader {
    /// The beginning of a reply that is not complete yet.
    pending: Vec<u8>,
    /// A body that is being skipped: the head of its reply and the number of bytes still to come.
    skipping: Option<(Head, usize)>,
    finished: bool,
    keep_bytes: usize,
}

impl ReplyReader {
    /// Skips bodies of more than `keep_bytes` instead of storing them.
    pub fn new(keep_bytes: usize) -> Self {
        ReplyReader { pending: Vec::new(), skipping: None, finished: false, keep_bytes }
    }

    /// Forgets a reply that was cut off; the next byte comes from a new connection.
    pub fn reset(&mut self) {
        self.pending.clear();
        self.skipping = None;
        self.finished = false;
    }

    /// Reads the next bytes of the connection. The common case, one complete reply in one piece, copies nothing.
    pub fn feed<'a>(&'a mut self, input: &'a [u8]) -> Result<Fed<'a>, Malformed> {
        if std::mem::take(&mut self.finished) {
            self.pending.clear();
        }
        if let Some((head, left)) = &mut self.skipping {
            let used = input.len().min(*left);
            *left -= used;
            if *left > 0 {
                return Ok(Fed::More);
            }
            let reply = head.reply(None);
            self.skipping = None;
            return Ok(Fed::Done { reply, used });
        }
        let before = self.pending.len();
        if before > 0 {
            self.pending.extend_from_slice(input);
        }
        let data = if before > 0 { self.pending.as_slice() } else { input };
        let Some(head) = parse_head(data)? else {
            if data.len() > MAX_HEAD_BYTES {
                return Err(Malformed("an endless head"));
            }
            if before == 0 {
                self.pending.extend_from_slice(input);
            }
            return Ok(Fed::More);
        };
        let kept = head.body_bytes <= self.keep_bytes;
        let total = head.bytes + head.body_bytes;
        if data.len() < total {
            if !kept {
                self.skipping = Some((head, total - data.len()));
                self.pending.clear();
            } else if before == 0 {
                self.pending.extend_from_slice(input);
            }
            return Ok(Fed::More);
        }
        self.finished = true;
        let data = if before > 0 { self.pending.as_slice() } else { input };
        Ok(Fed::Done { reply: head.reply(kept.then(|| &data[head.bytes..total])), used: total - before })
    }
}

/// Returns None if the head is not complete.
fn parse_head(data: &[u8]) -> Result<Option<Head>, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let bytes = match response.parse(data) {
        Ok(httparse::Status::Complete(bytes)) => bytes,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Malformed("not an HTTP reply")),
    };
    let status = response.code.unwrap_or(0);
    if !(200..600).contains(&status) {
        return Err(Malformed("a status that ends no request"));
    }
    let mut length = None;
    let mut close = response.version == Some(0);
    let mut request_id = RequestId::default();
    for header in response.headers.iter() {
        // Compare lengths first: they tell most names apart.
        match header.name.len() {
            14 if header.name.eq_ignore_ascii_case("content-length") => {
                let value = std::str::from_utf8(header.value).ok().and_then(|text| text.trim().parse::<usize>().ok());
                let value = value.ok_or(Malformed("a Content-Length that is no number"))?;
                if length.is_some_and(|length| length != value) {
                    return Err(Malformed("two Content-Lengths"));
                }
                length = Some(value);
            }
            10 if header.name.eq_ignore_ascii_case("connection") => {
                let value = header.value.to_ascii_lowercase();
                if memchr::memmem::find(&value, b"close").is_some() {
                    close = true;
                } else if memchr::memmem::find(&value, b"keep-alive").is_some() {
                    close = false;
                }
            }
            17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                return Err(Malformed("Transfer-Encoding instead of Content-Length"));
            }
            12 if header.name.eq_ignore_ascii_case("x-request-id") => request_id = hex_id(header.value),
            _ => {}
        }
    }
    let body_bytes = match (length, status) {
        (_, 204 | 304) => 0,
        (Some(length), _) => length,
        (None, _) => return Err(Malformed("no Content-Length")),
    };
    Ok(Some(Head { bytes, body_bytes, status, close, request_id }))
}

fn hex_id(text: &[u8]) -> RequestId {
    let mut id = 0_u128;
    let mut digits = 0;
    for &byte in text.iter().filter(|&&byte| byte != b'-') {
        let Some(digit) = (byte as char).to_digit(16) else { return RequestId::default() };
        id = id << 4 | u128::from(digit);
        digits += 1;
    }
    if digits == 32 { id.to_be_bytes() } else { RequestId::default() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOOKED: &[u8] = b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\nContent-Length: 8\r\n\
        X-Request-Id: 00112233445566778899aabbccddeeff\r\n\r\n{\"id\":4}";

    fn feed_all(reader: &mut ReplyReader, pieces: &[&[u8]]) -> Vec<(u16, bool, Option<Vec<u8>>)> {
        let mut replies = Vec::new();
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                match reader.feed(rest).unwrap() {
                    Fed::More => break,
                    Fed::Done { reply, used } => {
                        replies.push((reply.status, reply.close, reply.body.map(<[u8]>::to_vec)));
                        rest = &rest[used..];
                    }
                }
            }
        }
        replies
    }

    #[test]
    fn a_reply_split_at_every_byte_is_the_same_reply() {
        let two: Vec<u8> = [BOOKED, b"HTTP/1.1 409 Conflict\r\nconnection: Close\r\ncontent-length:0\r\n\r\n"].concat();
        let expected = vec![(201, false, Some(b"{\"id\":4}".to_vec())), (409, true, Some(Vec::new()))];
        for cut in 0..=two.len() {
            let (left, right) = two.split_at(cut);
            assert_eq!(feed_all(&mut ReplyReader::new(100), &[left, right]), expected, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = two.chunks(1).collect();
        assert_eq!(feed_all(&mut ReplyReader::new(100), &bytes), expected);
    }

    #[test]
    fn the_id_of_the_request_is_kept() {
        let mut reader = ReplyReader::new(100);
        let Fed::Done { reply, used } = reader.feed(BOOKED).unwrap() else { panic!("incomplete") };
        assert_eq!((reply.request_id[0], reply.request_id[15], used), (0, 0xff, BOOKED.len()));
        assert_eq!(hex_id(b"00112233-4455-6677-8899-aabbccddeeff"), reply.request_id);
        assert_eq!(hex_id(b"abc"), RequestId::default());
    }

    #[test]
    fn unreadable_replies_are_reported() {
        for (bytes, why) in [
            (&b"SSH-2.0-OpenSSH\r\n\r\n"[..], "not an HTTP reply"),
            (b"HTTP/1.1 200 OK\r\n\r\n", "no Content-Length"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding instead of Content-Length"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "a Content-Length that is no number"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "two Content-Lengths"),
            (b"HTTP/1.1 100 Continue\r\n\r\n", "a status that ends no request"),
        ] {
            assert_eq!(ReplyReader::new(100).feed(bytes), Err(Malformed(why)));
        }
        let endless = [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &vec![b'x'; MAX_HEAD_BYTES]].concat();
        assert_eq!(ReplyReader::new(100).feed(&endless), Err(Malformed("an endless head")));
    }

    #[test]
    fn requests_are_complete() {
        let target = Target::parse("http://127.0.0.1:81/").unwrap();
        let mut out = Vec::new();
        write_request(&mut out, &target, "POST", format_args!("/a/{}/", 1), &authorization_line("t"), b"{}");
        write_request(&mut out, &target, "POST", format_args!("/b/"), b"", b"");
        let expected = "POST /a/1/ HTTP/1.1\r\nHost: 127.0.0.1:81\r\nAuthorization: Bearer t\r\n\
            Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}\
            POST /b/ HTTP/1.1\r\nHost: 127.0.0.1:81\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn urls() {
        assert_eq!(Target::parse("http://127.0.0.1").unwrap().address.port(), 80);
        assert_eq!(Target::parse("http://[::1]:9").unwrap().address.port(), 9);
        for bad in ["https://a", "127.0.0.1:80", "http://", "http://a/b", "http://u@a"] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_splits_of_any_replies(
            bodies in prop::collection::vec((200_u16..204, 0_usize..300), 1..6),
            sizes in prop::collection::vec(1_usize..400, 1..40),
            keep in 0_usize..300,
        ) {
            let mut stream = Vec::new();
            for (status, length) in &bodies {
                write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n").unwrap();
                stream.extend(std::iter::repeat_n(b'b', *length));
            }
            let mut pieces = Vec::new();
            let mut rest = stream.as_slice();
            for size in sizes.iter().cycle() {
                if rest.is_empty() { break }
                let (piece, after) = rest.split_at((*size).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            let expected: Vec<_> = bodies.iter()
                .map(|&(status, length)| (status, false, (length <= keep).then(|| vec![b'b'; length])))
                .collect();
            prop_assert_eq!(feed_all(&mut ReplyReader::new(keep), &pieces), expected);
        }

        #[test]
        fn no_bytes_make_it_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..6)) {
            let mut reader = ReplyReader::new(50);
            for piece in &pieces {
                if reader.feed(piece).is_err() { break }
            }
        }
    }
}
