//! One blocking connection, for requests before and after the run.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::http::{Fed, ReplyReader, Target, authorization_line, write_request};

/// My-bookings of a user with a million of them is some 200 MB.
const LONGEST_BODY_BYTES: usize = 1 << 30;
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Client<'a> {
    target: &'a Target,
    stream: Option<TcpStream>,
}

impl<'a> Client<'a> {
    pub fn new(target: &'a Target) -> Self {
        Client { target, stream: None }
    }

    /// Returns the status and body of the reply. Repeats a GET once on a new connection if the old one is gone.
    pub fn call(&mut self, method: &str, path: &str, token: &str, body: &str) -> Result<(u16, Vec<u8>), String> {
        let mut request = Vec::new();
        let authorization = authorization_line(token);
        write_request(&mut request, self.target, method, format_args!("{path}"), &authorization, body.as_bytes());
        let reused = self.stream.is_some();
        let mut result = self.exchange(&request);
        if result.is_err() && reused && method == "GET" {
            result = self.exchange(&request);
        }
        result.map_err(|error| format!("{method} {}{path}: {error}", self.target.url))
    }

    fn exchange(&mut self, request: &[u8]) -> Result<(u16, Vec<u8>), String> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect().map_err(|error| error.to_string())?,
        };
        stream.write_all(request).map_err(|error| error.to_string())?;
        let mut reader = ReplyReader::new(LONGEST_BODY_BYTES);
        let mut buffer = [0; 64 * 1024];
        loop {
            let read = stream.read(&mut buffer).map_err(|error| error.to_string())?;
            if read == 0 {
                return Err("the server closed the connection".to_owned());
            }
            match reader.feed(&buffer[..read]) {
                Ok(Fed::More) => {}
                Ok(Fed::Done { reply, used }) => {
                    let body = reply.body.ok_or("the body is too long")?.to_vec();
                    if !reply.close && used == read {
                        self.stream = Some(stream);
                    }
                    return Ok((reply.status, body));
                }
                Err(malformed) => return Err(malformed.0.to_owned()),
            }
        }
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.target.address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }
}
