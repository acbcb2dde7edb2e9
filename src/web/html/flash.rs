//! Flash messages: about the last change, shown once on the next page. Until then the browser keeps them in a cookie.

use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::cookies::{self, NewCookie};

const NAME: &str = "marquee_notes";

/// The most bytes of messages, since browsers drop cookies larger than 4 KiB.
const BYTES_MAX: usize = 3_000;

/// To how many characters a text is cut if not all messages fit. Encoded, a character has up to 12 bytes.
const TEXT_MAX: usize = 200;

/// How long the browser keeps messages that no page has shown.
const KEPT_SECONDS: u32 = 60;

/// A message, with links to what it is about: text and path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    pub text: String,
    pub links: Vec<(String, String)>,
    /// Whether it says that something was not done.
    pub warns: bool,
}

impl From<String> for Message {
    fn from(text: String) -> Message {
        Message { text, links: Vec::new(), warns: false }
    }
}

impl Message {
    pub fn warning(text: String) -> Message {
        Message { text, links: Vec::new(), warns: true }
    }
}

/// Returns the messages to show. Other programs of the host can set the cookie, so a link leads only to this site.
pub fn messages(headers: &HeaderMap) -> Vec<Message> {
    let found = cookies::values(headers, NAME).find(|value| !value.is_empty()).unwrap_or_default();
    let mut messages: Vec<Message> = Vec::new();
    for (name, value) in form_urlencoded::parse(found.as_bytes()) {
        match (name.as_ref(), messages.last_mut(), value.split_once(' ')) {
            ("l", Some(message), Some((path, text))) if is_of_this_site(path) => {
                message.links.push((text.to_owned(), path.to_owned()));
            }
            ("l", ..) => {}
            ("w", ..) => messages.push(Message::warning(value.into_owned())),
            _ => messages.push(value.into_owned().into()),
        }
    }
    messages
}

fn is_of_this_site(path: &str) -> bool {
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    path.starts_with('/') && !path.starts_with("//") && is_plain
}

/// Checks whether a cookie can hold these messages.
pub fn fits(messages: &[Message]) -> bool {
    encode(messages).len() <= BYTES_MAX
}

fn encode(messages: &[Message]) -> String {
    let mut written = form_urlencoded::Serializer::new(String::new());
    for message in messages {
        written.append_pair(if message.warns { "w" } else { "n" }, &message.text);
        for (text, path) in &message.links {
            written.append_pair("l", &format!("{path} {text}"));
        }
    }
    written.finish()
}

/// Cuts messages to what a cookie can hold: long texts are cut, and the last messages are counted instead.
fn cut(messages: &[Message]) -> String {
    let whole = encode(messages);
    if whole.len() <= BYTES_MAX {
        return whole;
    }
    let short = |message: &Message| match message.text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => Message { text: format!("{}…", &message.text[..end]), ..message.clone() },
        None => message.clone(),
    };
    let mut kept: Vec<Message> = messages.iter().map(short).collect();
    loop {
        let left_out = messages.len() - kept.len();
        let rest = (left_out > 0).then(|| Message::warning(format!("And {left_out} more.")));
        let written = encode(&kept.iter().cloned().chain(rest).collect::<Vec<_>>());
        if written.len() <= BYTES_MAX || kept.pop().is_none() {
            return written;
        }
    }
}

/// Redirects to another page, which shows these messages.
pub fn see_other(url: &str, messages: &[Message]) -> Response {
    let written = cut(messages);
    let mut response = (StatusCode::SEE_OTHER, [(LOCATION, url.to_owned())]).into_response();
    response.headers_mut().append(SET_COOKIE, cookie(&written, KEPT_SECONDS));
    response
}

/// Returns the `Set-Cookie` that deletes the messages after they were shown.
pub fn forget() -> HeaderValue {
    cookie("", 0)
}

fn cookie(value: &str, seconds: u32) -> HeaderValue {
    NewCookie { name: NAME, value, path: "/admin", is_secure: false, seconds: Some(seconds) }.header()
}

#[cfg(test)]
mod tests {
    use axum::http::header::COOKIE;

    use super::*;

    fn read(cookie: &str) -> Vec<Message> {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_str(&format!("{NAME}={cookie}")).unwrap());
        messages(&headers)
    }

    #[test]
    fn links_lead_only_to_this_site() {
        let link = |path: &str| ("Open".to_owned(), path.to_owned());
        let links = vec![link("/admin/shows/1/change/")];
        let sent = Message { text: "Done: 1 & more.".to_owned(), links, warns: true };
        assert_eq!(read(&encode(std::slice::from_ref(&sent))), [sent]);
        for path in ["https://evil.example/", "//evil.example/", "/\\evil.example/", "javascript:alert(1)"] {
            let forged = Message { links: vec![link(path)], ..Message::from("Done.".to_owned()) };
            assert_eq!(read(&encode(&[forged])), [Message::from("Done.".to_owned())], "{path}");
        }
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        for text in ["Not saved. ".repeat(500), "😀".repeat(5_000), "Short.".to_owned()] {
            let sent = vec![Message::warning(text.clone()); 400];
            let shown = read(&cut(&sent));
            let whole = shown.iter().filter(|one| one.warns && one.text.chars().next() == text.chars().next()).count();
            assert!((1..400).contains(&whole), "{whole}");
            assert_eq!(shown.last().map(|last| last.text.clone()), Some(format!("And {} more.", 400 - whole)));
            assert!(cut(&sent).len() <= BYTES_MAX);
        }
    }
}
