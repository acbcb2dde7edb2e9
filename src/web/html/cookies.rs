//! Reading and setting cookies.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use cookie::{Cookie, SameSite, time};

/// Returns the values of all cookies with this name. A header also has the cookies of other programs on the host, in
/// any encoding: those that are not UTF-8 or not cookies are skipped.
pub fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = String> + 'a {
    let parts = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let cookies = parts.filter_map(|part| Cookie::parse(std::str::from_utf8(part).ok()?).ok());
    cookies.filter(move |cookie| cookie.name() == name).map(|cookie| cookie.value().to_owned())
}

/// A cookie for the server alone: scripts can't read it, and other sites can't send it along with a form.
#[derive(Debug)]
pub struct NewCookie<'a> {
    pub name: &'a str,
    pub value: &'a str,
    pub path: &'a str,
    /// The browser sends it over TLS only.
    pub is_secure: bool,
    /// None keeps it until the browser is closed.
    pub seconds: Option<u32>,
}

impl NewCookie<'_> {
    /// Returns the value of a `Set-Cookie` header.
    ///
    /// # Panics
    /// If the name, the value or the path contains anything but visible ASCII.
    pub fn header(&self) -> HeaderValue {
        let mut cookie = Cookie::build((self.name, self.value)).path(self.path).http_only(true).build();
        cookie.set_same_site(SameSite::Lax);
        cookie.set_secure(self.is_secure);
        cookie.set_max_age(self.seconds.map(|seconds| time::Duration::seconds(seconds.into())));
        HeaderValue::from_str(&cookie.to_string()).expect("names and values are visible ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_of_other_programs_do_no_harm() {
        let mut headers = HeaderMap::new();
        for line in [&b"a=1; \xff\xfe=2; =; ;; x; ours=one"[..], b"b=\xe9;ours=two;  ours=", b"theirs=ours=no"] {
            headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        assert_eq!(values(&headers, "ours").collect::<Vec<_>>(), ["one", "two", ""]);
        assert_eq!(values(&headers, "our").count(), 0);
    }

    #[test]
    fn cookies_are_for_the_server_alone() {
        let cookie = NewCookie { name: "n", value: "v", path: "/admin", is_secure: true, seconds: Some(60) };
        assert_eq!(cookie.header(), "n=v; HttpOnly; SameSite=Lax; Secure; Path=/admin; Max-Age=60");
        let cookie = NewCookie { is_secure: false, seconds: None, ..cookie };
        assert_eq!(cookie.header(), "n=v; HttpOnly; SameSite=Lax; Path=/admin");
    }
}
