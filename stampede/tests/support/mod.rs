//! Shared code of the small servers of these tests, and the load put on them.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use stampede::Load;
use stampede::report::Report;
use stampede::scenario::Scenario;
use stampede::setup::Who;

pub struct Request {
    pub path: String,
    pub user: usize,
    pub key: Option<String>,
    pub body: String,
}

/// Starts a server and returns its address. `answer` writes the reply; if it returns None, the connection is closed.
pub fn listen(answer: impl Fn(Request, &mut TcpStream) -> Option<()> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || serve(stream.unwrap(), &*answer));
        }
    });
    url
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(Request, &mut TcpStream) -> Option<()>) -> Option<()> {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut line, mut user, mut length, mut key) = (String::new(), 0, 0, None);
        reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
        let path = line.split(' ').nth(1)?.to_owned();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            match header.trim().split_once(": ") {
                Some(("Authorization", token)) => user = token.strip_prefix("Bearer user")?.parse().ok()?,
                Some(("Idempotency-Key", value)) => key = Some(value.to_owned()),
                Some(("Content-Length", value)) => length = value.parse().ok()?,
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        answer(Request { path, user, key, body: String::from_utf8(body).ok()? }, &mut stream)?;
    }
}

pub fn tokens() -> (tempfile::TempDir, Who) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let lines: Vec<String> = (0..30).map(|user| format!("user{user}")).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    (folder, Who::File(path))
}

pub fn load(url: String, who: Who, scenario: Scenario) -> Load {
    Load {
        urls: vec![url],
        who,
        scenario,
        connections: 8,
        threads: 2,
        rate: None,
        warmup: Duration::ZERO,
        duration: Duration::from_secs(20),
        stop: Arc::default(),
        requests: Some(1_500),
        timeout: Duration::from_secs(5),
        keys: false,
        shows: None,
        trusted_shows: Vec::new(),
        keep_going: true,
        wait: Duration::from_secs(5),
        referee: true,
        others: false,
        seed: 1,
        progress: false,
    }
}

pub fn kinds(report: &Report) -> Vec<&'static str> {
    let mut kinds: Vec<_> =
        report.referee.as_ref().unwrap().violations.iter().map(|violation| violation.kind).collect();
    kinds.dedup();
    kinds
}
