//! Processes and files that end with the test run, and ports to listen on.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Cleans up after the run: all its processes are in one group, all its files in one directory.
///
/// A shell next to this process waits until its standard input closes, which the kernel does however
/// this process ends; then it kills the group and removes the directory.
pub struct Run {
    /// A group exists as long as one of its processes; this one gives the group its id and waits.
    leader: Child,
    guard: Child,
}

/// The run's process group and directory.
static PLACE: OnceLock<(i32, &'static Path)> = OnceLock::new();

impl Run {
    /// Call this once, before anything is started.
    pub fn begin() -> Run {
        let directory = tempfile::Builder::new().prefix("marquee-it-").tempdir().expect("a directory can be created");
        let directory: &Path = directory.keep().leak();
        let leader = shell("read -r _").spawn().expect("a shell starts");
        // A killed process may still be writing, so the shell waits for it; not forever, since in a
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

/// A shell that runs this script, and that Ctrl-C at the terminal does not reach.
fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "guard"]).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A fresh directory, removed when dropped, at the latest when the run ends.
pub fn directory() -> TempDir {
    let (_, directory) = PLACE.get().expect("the run has begun");
    TempDir::new_in(directory).expect("a directory can be created")
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

    /// Returns the exit status once the process has ended by itself.
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
        // Failures don't matter: the process is gone already, or the end of the run kills it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns a port of 127.0.0.1 that nobody listens on. It is below the ranges from which systems pick ports for
/// outgoing connections, so a server can reuse it after a restart.
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

/// The last `count` lines of a text file; empty if there is no such file.
pub fn tail(file: &Path, count: usize) -> String {
    let text = std::fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
