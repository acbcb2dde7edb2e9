//! A small HTTP client: one connection per call, nothing added, nothing followed, nothing normalised.

use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};

use super::App;

const TIMEOUT: Duration = Duration::from_secs(60);

/// A request, built step by step and sent with [`Call::send`].
#[derive(Clone, Debug)]
pub struct Call {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A reply to a call.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Bytes,
    pub text: String,
}

impl Call {
    /// `path` is sent unchanged, with its query; non-ASCII characters must be percent-encoded.
    pub fn method(method: &str, path: impl Into<String>) -> Call {
        Call { method: method.to_owned(), path: path.into(), headers: Vec::new(), body: Vec::new() }
    }

    pub fn get(path: impl Into<String>) -> Call {
        Call::method("GET", path)
    }

    pub fn post(path: impl Into<String>) -> Call {
        Call::method("POST", path)
    }

    pub fn bearer(self, token: &str) -> Call {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// Adds a header; a header added twice is sent twice.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Call {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn json(self, value: Value) -> Call {
        self.body(Some("application/json"), value.to_string())
    }

    /// Sets any bytes as the body, with this Content-Type or none.
    pub fn body(mut self, content_type: Option<&str>, bytes: impl Into<Vec<u8>>) -> Call {
        self.body = bytes.into();
        match content_type {
            Some(content_type) => self.header(CONTENT_TYPE.as_str(), content_type),
            None => self,
        }
    }

    /// Sends to the first instance of `app`.
    pub async fn send(self, app: &App) -> Reply {
        self.send_to(app.base()).await
    }

    /// Sends to `base`, like `http://127.0.0.1:8000`. Panics if no complete reply arrives.
    pub async fn send_to(self, base: &str) -> Reply {
        let shown = format!("{} {base}{}", self.method, self.path);
        self.try_send_to(base).await.unwrap_or_else(|error| panic!("{shown}: {error}"))
    }

    /// Like [`Call::send_to`], for tests in which the server may be gone.
    pub async fn try_send_to(self, base: &str) -> Result<Reply, String> {
        let mut connection = Connection::open(base).await?;
        connection.send(self).await
    }
}

/// An open connection to a server.
pub struct Connection {
    host: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    pub async fn open(base: &str) -> Result<Connection, String> {
        let host = base.strip_prefix("http://").expect("a base is http://host:port").to_owned();
        Connection::over(TcpStream::connect(host.clone()), host).await
    }

    /// Connects to the port of `base` on 127.0.0.1, from another address of this machine.
    pub async fn open_from(source: [u8; 4], base: &str) -> Result<Connection, String> {
        let (_, port) = base.rsplit_once(':').expect("a base is http://host:port");
        let stream = connect_from(source, port.parse().expect("a port"));
        Connection::over(stream, format!("127.0.0.1:{port}")).await
    }

    async fn over(stream: impl Future<Output = io::Result<TcpStream>>, host: String) -> Result<Connection, String> {
        let open = async {
            let stream = stream.await.map_err(|error| error.to_string())?;
            stream.set_nodelay(true).map_err(|error| error.to_string())?;
            handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())
        };
        let (sender, connection) = within_limit(open).await?;
        // A connection error also fails the request that waits for a reply.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Connection { host, sender })
    }

    pub async fn send(&mut self, call: Call) -> Result<Reply, String> {
        let method = Method::from_bytes(call.method.as_bytes()).expect("the method is a token");
        let mut request = Request::builder().method(method).uri(call.path);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let mut request = request.body(Full::new(Bytes::from(call.body))).expect("the call is well formed");
        let host = self.host.parse().expect("the host is a header value");
        request.headers_mut().entry(HOST).or_insert(host);
        within_limit(async {
            let (head, body) =
                self.sender.send_request(request).await.map_err(|error| format!("no reply: {error:?}"))?.into_parts();
            let bytes = body.collect().await.map_err(|error| format!("the reply broke off: {error:?}"))?.to_bytes();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Ok(Reply { status: head.status.as_u16(), headers: head.headers, bytes, text })
        })
        .await
    }
}

/// Connects to `port` on 127.0.0.1 from `source`, an address of this machine.
pub async fn connect_from(source: [u8; 4], port: u16) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((source, 0).into())?;
    socket.connect(([127, 0, 0, 1], port).into()).await
}

async fn within_limit<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::time::timeout(TIMEOUT, work).await.unwrap_or_else(|_| Err(format!("nothing for {} s", TIMEOUT.as_secs())))
}

impl Reply {
    /// The body as JSON; panics and shows the reply if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// The value of a header; joined by `, ` if it was sent more than once.
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<_> =
            self.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// Returns this reply if it has the expected status; otherwise panics and shows the reply.
    #[track_caller]
    pub fn expect(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}
