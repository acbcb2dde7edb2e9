//! Processes and files that end with the test run, and ports to listen on.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Clears away what the run leaves: all its processes are in one group, all its files in one directory.
///
/// A shell beside this process waits for its standard input to close, which the kernel does however
/// this process ends, then kills the group and removes the directory.
pub struct Run {
    /// A group lives as long as one process in it; this one gives it its id and waits.
    leader: Child,
    guard: Child,
}

/// The run's process group and directory.
static PLACE: OnceLock<(i32, &'static Path)> = OnceLock::new();

impl Run {
    /// To be called once, before anything is started.
    pub fn begin() -> Run {
        let directory = tempfile::Builder::new().prefix("marquee-it-").tempdir().expect("a directory can be made");
        let directory: &Path = directory.keep().leak();
        let leader = shell("read -r _").spawn().expect("a shell starts");
        // What has been killed may still be writing, so it is waited for; not forever, since in a
        // container there may be nobody to reap it.
        let clear = r#"read -r _
            kill -9 "-$1"
            for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "-$1" || break; sleep 0.2; done
            rm -rf "$2""#;
        let group = leader.id();
        let guard = shell(clear).arg(group.to_string()).arg(directory).spawn().expect("a shell starts");
        PLACE.set((group.cast_signed(), directory)).expect("a process has one run");
        Run { leader, guard }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.leader.wait();
        let _ = self.guard.wait();
    }
}

/// A shell on this script, which Ctrl-C at the terminal does not reach.
fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "guard"]).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A fresh directory, removed when dropped and at the latest when the run ends.
pub fn directory() -> TempDir {
    let (_, directory) = PLACE.get().expect("the run has begun");
    TempDir::new_in(directory).expect("a directory can be made")
}

/// Makes `command` end with the run.
pub fn tied(command: &mut Command) -> &mut Command {
    let (group, _) = PLACE.get().expect("the run has begun");
    command.process_group(*group)
}

/// A server process; killed when dropped.
pub struct Server(Child);

impl Server {
    pub fn spawn(command: &mut Command) -> Server {
        let child = tied(command).stdin(Stdio::null()).spawn();
        Server(child.unwrap_or_else(|error| panic!("{command:?} does not start: {error}")))
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The exit status, once the process has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("a child can be waited for")
    }

    /// Asks the process to end (SIGTERM) and waits until it has.
    pub async fn terminate(mut self, limit: Duration) -> ExitStatus {
        let asked = Command::new("sh").args(["-c", r#"kill "$1""#, "kill", &self.pid().to_string()]).status();
        assert!(asked.expect("a shell starts").success(), "process {} is gone already", self.pid());
        let began = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(began.elapsed() < limit, "still running {limit:?} after SIGTERM");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Neither can fail in a way that matters: it is gone already, or the run's end takes it along.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port of 127.0.0.1 that nobody listens on and no outgoing connection will be given:
/// it is below the ranges that systems take those from, so a server can come back to it.
pub fn free_port() -> u16 {
    const FIRST: u32 = 11_000;
    const COUNT: u32 = 20_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Runs at the same time start at different places.
    let start = std::process::id().wrapping_mul(7_919);
    loop {
        let offset = start.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + offset).expect("the range ends below 32,768");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The last `count` lines of a text file; empty when there is no such file.
pub fn tail(file: &Path, count: usize) -> String {
    let text = std::fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
