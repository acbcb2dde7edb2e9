//! The log: one line for each event on standard error, as plain text or as JSON.
//!
//! A dedicated thread writes the lines, so logging never waits for a slow or stuck reader. The queue is limited; lines
//! that do not fit are dropped, counted and reported. A line that is logged during a request carries the request's id.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, registry};
use uuid::Uuid;

use super::metrics;

/// The most bytes that may be queued; up to as many more may be in the middle of being written.
const QUEUE_BYTES: usize = 4 << 20;

/// How long the thread collects lines before it writes again. Each write costs a system call, so a busy server makes
/// few.
const WRITE_INTERVAL: Duration = Duration::from_millis(5);

/// How long the program waits for the last lines when it ends.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// The most bytes that are logged of a value; the backtrace of a panic may be longer.
const LONGEST_VALUE: usize = 1_000;
const LONGEST_BACKTRACE: usize = 16 << 10;

/// The queue of the log and its format, once it was started.
static STARTED: OnceLock<(Arc<Queue>, Format)> = OnceLock::new();

tokio::task_local! {
    static REQUEST: Option<Uuid>;
}

/// Runs `work` on behalf of the request with this id.
pub fn in_request<F: Future>(id: Uuid, work: F) -> impl Future<Output = F::Output> {
    REQUEST.scope(Some(id), work)
}

/// Runs `work`, in any task, on behalf of the caller's request, if there is one.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    REQUEST.scope(request(), work)
}

fn request() -> Option<Uuid> {
    REQUEST.try_with(|id| *id).ok().flatten()
}

/// Cuts a text from a client to at most `most` bytes.
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return text.into();
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end]).into()
}

/// Writes the last lines when it is dropped, however the program ends.
#[must_use]
pub struct Log(());

impl Drop for Log {
    fn drop(&mut self) {
        flush();
    }
}

/// Starts to log to standard error, including panics. `level` is a filter that [`EnvFilter`] understands. Later calls do
/// nothing.
pub fn start(format: Format, level: &str) -> Log {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let form = match format {
        Format::Human => Form::Human { colours: std::io::stderr().is_terminal() },
        Format::Json => Form::Json,
    };
    let queue = Arc::<Queue>::default();
    // A separate handle: Rust's own is locked during a write, and other threads would wait for it.
    let out = std::io::stderr().as_fd().try_clone_to_owned().map(File::from);
    let lines = Lines { form, queue: Arc::clone(&queue) };
    if registry().with(filter).with(lines).try_init().is_err() || STARTED.set((Arc::clone(&queue), format)).is_err() {
        return Log(());
    }
    let thread = std::thread::Builder::new().name("log".into());
    let write = out.and_then(|out| thread.spawn(move || queue.write_to(out, |lost| lost_line(form, lost))));
    if let Err(error) = write {
        eprintln!("The log could not be started: {error}");
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or_default();
        let backtrace = std::backtrace::Backtrace::capture();
        match backtrace.status() {
            std::backtrace::BacktraceStatus::Captured => tracing::error!(text, place, %backtrace, "panicked"),
            _ => tracing::error!(text, place, "panicked"),
        }
    }));
    Log(())
}

/// Returns whether the log was started as JSON. Everything that the program says is then an event of the log.
pub fn is_json() -> bool {
    matches!(STARTED.get(), Some((_, Format::Json)))
}

/// Waits until everything logged before is written, for at most a second: nobody may be reading it.
pub fn flush() {
    if let Some((queue, _)) = STARTED.get() {
        queue.flush(FLUSH_MAX);
    }
}

/// Lines that are waiting to be written.
#[derive(Default)]
struct Queue {
    state: Mutex<Waiting>,
    /// There is something to write.
    filled: Condvar,
    /// Everything is written.
    emptied: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// The number of lines that did not fit.
    lost: u64,
    /// Whether the thread is waiting for lines.
    is_idle: bool,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut waiting = self.waiting();
        if waiting.lines.len() + line.len() > QUEUE_BYTES {
            waiting.lost += 1;
            return;
        }
        waiting.lines.extend_from_slice(line);
        let wake = std::mem::take(&mut waiting.is_idle);
        drop(waiting);
        if wake {
            self.filled.notify_one();
        }
    }

    /// Writes queued lines forever; `lost_line` makes the line that reports lost lines.
    fn write_to(&self, mut out: impl Write, lost_line: impl Fn(u64) -> Vec<u8>) {
        let mut lines = Vec::new();
        loop {
            let lost = {
                let mut waiting = self.waiting();
                while waiting.lines.is_empty() && waiting.lost == 0 {
                    waiting.is_idle = true;
                    self.emptied.notify_all();
                    waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                }
                waiting.is_idle = false;
                std::mem::swap(&mut lines, &mut waiting.lines);
                std::mem::take(&mut waiting.lost)
            };
            if lost > 0 {
                metrics::log_lines_lost(lost);
                lines.extend(lost_line(lost));
            }
            write_all(&mut out, &lines);
            lines.clear();
            lines.shrink_to(LONGEST_BACKTRACE);
            std::thread::sleep(WRITE_INTERVAL);
        }
    }

    fn flush(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let mut waiting = self.waiting();
        while !(waiting.is_idle && waiting.lines.is_empty()) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            waiting = self.emptied.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Ignores a reader that has gone, and waits if the reader made the pipe non-blocking.
fn write_all(out: &mut impl Write, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => std::thread::sleep(WRITE_INTERVAL),
            Err(_) => return,
        }
    }
}

/// The format of the log, as operators choose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Human,
    Json,
}

#[derive(Clone, Copy)]
enum Form {
    Human { colours: bool },
    Json,
}

/// Turns events into lines.
struct Lines {
    form: Form,
    queue: Arc<Queue>,
}

/// Buffers that a thread reuses for each line.
struct Scratch {
    line: Vec<u8>,
    value: String,
    /// The second of the last line, and its text.
    second: i64,
    shown: String,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = const {
        RefCell::new(Scratch { line: Vec::new(), value: String::new(), second: i64::MIN, shown: String::new() })
    };
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        SCRATCH.with(|scratch| {
            // Formatting a value may itself log something.
            let Ok(mut scratch) = scratch.try_borrow_mut() else { return };
            let scratch = &mut *scratch;
            begin(scratch, self.form, event.metadata());
            let mut fields = Fields { form: self.form, line: &mut scratch.line, value: &mut scratch.value };
            event.record(&mut fields);
            if let Some(id) = request() {
                fields.text("request_id", id.simple().encode_lower(&mut Uuid::encode_buffer()));
            }
            scratch.line.extend_from_slice(if matches!(self.form, Form::Json) { b"}\n" } else { b"\n" });
            self.queue.push(&scratch.line);
        });
    }
}

/// Starts a line with the time and the level.
fn begin(scratch: &mut Scratch, form: Form, about: &Metadata<'_>) {
    let now = Timestamp::now();
    if now.as_second() != scratch.second {
        scratch.second = now.as_second();
        scratch.shown = now.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    }
    let (second, micros) = (&scratch.shown, now.subsec_microsecond());
    let line = &mut scratch.line;
    line.clear();
    let level = about.level();
    // Writing to memory can't fail.
    let _ = match form {
        Form::Json => {
            let target = about.target();
            write!(line, r#"{{"timestamp":"{second}.{micros:06}Z","level":"{level}","target":"{target}""#)
        }
        Form::Human { colours: false } => write!(line, "{second}.{micros:06}Z {level:>5}"),
        Form::Human { colours: true } => {
            let colour = match *level {
                Level::ERROR => 31,
                Level::WARN => 33,
                Level::INFO => 32,
                Level::DEBUG => 34,
                Level::TRACE => 35,
            };
            write!(line, "\x1b[2m{second}.{micros:06}Z\x1b[0m \x1b[{colour}m{level:>5}\x1b[0m")
        }
    };
}

fn lost_line(form: Form, lost: u64) -> Vec<u8> {
    let time = Timestamp::now();
    let text = "log lines were lost because they were not read fast enough";
    match form {
        Form::Json => format!(
            "{{\"timestamp\":\"{time:.6}\",\"level\":\"WARN\",\"target\":\"marquee::log\",\"message\":\"{text}\",\"lost\":{lost}}}\n"
        ),
        Form::Human { .. } => format!("{time:.6}  WARN {text} lost={lost}\n"),
    }
    .into_bytes()
}

/// Writes the fields of an event.
struct Fields<'a> {
    form: Form,
    line: &'a mut Vec<u8>,
    value: &'a mut String,
}

impl Fields<'_> {
    fn name(&mut self, name: &str) {
        let _ = match (self.form, name) {
            (Form::Json, name) => write!(self.line, ",\"{name}\":"),
            (Form::Human { .. }, "message") => write!(self.line, " "),
            (Form::Human { .. }, name) => write!(self.line, " {name}="),
        };
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        let text = cut(text, if name == "backtrace" { LONGEST_BACKTRACE } else { LONGEST_VALUE });
        let is_bare = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'=';
        match self.form {
            Form::Json if text.chars().any(is_unescaped_by_json) => {
                let written = serde_json::to_string(&*text).unwrap_or_default();
                for letter in written.chars() {
                    let _ = match is_unescaped_by_json(letter) {
                        true => write!(self.line, "\\u{:04x}", u32::from(letter)),
                        false => write!(self.line, "{letter}"),
                    };
                }
            }
            Form::Json => drop(serde_json::to_writer(&mut *self.line, &*text)),
            Form::Human { .. } if name == "message" && !text.contains(char::is_control) => {
                self.line.extend_from_slice(text.as_bytes());
            }
            Form::Human { .. } if !text.is_empty() && text.bytes().all(is_bare) => {
                self.line.extend_from_slice(text.as_bytes());
            }
            Form::Human { .. } => drop(write!(self.line, "{text:?}")),
        }
    }

    fn plain(&mut self, name: &str, value: impl fmt::Display) {
        self.name(name);
        let _ = write!(self.line, "{value}");
    }
}

/// Checks for a control character that JSON allows unescaped. A terminal would interpret it as a command.
fn is_unescaped_by_json(letter: char) -> bool {
    ('\u{7f}'..='\u{9f}').contains(&letter)
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = std::mem::take(self.value);
        text.clear();
        let limit = LONGEST_BACKTRACE + 1;
        // A longer text ends here and is cut below.
        let _ = write!(Bounded { text: &mut text, limit }, "{value:?}");
        self.text(field.name(), &text);
        *self.value = text;
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field.name(), value);
    }
}

/// A text that stops growing once it has `limit` bytes. The last piece is cut to `limit` bytes as well.
struct Bounded<'a> {
    text: &'a mut String,
    limit: usize,
}

impl fmt::Write for Bounded<'_> {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        if self.text.len() >= self.limit {
            return Err(fmt::Error);
        }
        self.text.push_str(&cut(more, self.limit));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A reader that reads only when the test allows it.
    struct Stuck(mpsc::Receiver<()>, mpsc::Sender<Vec<u8>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.recv().map_err(std::io::Error::other)?;
            self.1.send(bytes.to_owned()).map_err(std::io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn stuck_reader_blocks_nobody_and_lost_lines_are_counted() {
        let queue = Arc::<Queue>::default();
        let ((allow, allowed), (sender, written)) = (mpsc::channel(), mpsc::channel());
        let thread = Arc::clone(&queue);
        std::thread::spawn(move || thread.write_to(Stuck(allowed, sender), |lost| lost_line(Form::Json, lost)));
        queue.push(b"first\n");
        let line = [b"x".repeat(999), b"\n".to_vec()].concat();
        let sent = 3 * QUEUE_BYTES / line.len();
        (0..sent).for_each(|_| queue.push(&line));
        assert!(queue.waiting().lines.len() <= QUEUE_BYTES);
        let began = Instant::now();
        queue.flush(Duration::from_millis(20));
        assert!(began.elapsed() < Duration::from_secs(1), "flush does not wait for the reader either");

        (0..9).for_each(|_| allow.send(()).expect("it still writes"));
        queue.flush(Duration::from_secs(5));
        let all: Vec<u8> = written.try_iter().flatten().collect();
        let text = String::from_utf8(all).expect("text");
        let kept = text.lines().filter(|line| line.starts_with('x')).count();
        let reports = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let lost: u64 = reports.filter_map(|report| report["lost"].as_u64()).sum();
        assert!(lost > 0 && kept as u64 + lost == sent as u64, "{kept} of {sent} kept, {lost} lost");
        assert!(text.starts_with("first\n"));
    }

    #[test]
    fn lines_are_limited_and_have_no_control_characters() {
        for form in [Form::Json, Form::Human { colours: false }] {
            let (mut line, mut value) = (Vec::new(), String::new());
            let mut fields = Fields { form, line: &mut line, value: &mut value };
            fields.text("message", "one\ntwo");
            fields.text("path", &"\u{9b}é\n".repeat(20_000));
            fields.text("empty", "");
            let text = String::from_utf8(line).expect("text");
            assert!(text.len() < 8 * LONGEST_VALUE, "{} bytes", text.len());
            assert!(!text.contains(char::is_control) && text.contains('…'), "{text}");
        }
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "abc…");
        assert_eq!(cut("ééé", 3), "é…");
        assert_eq!(cut("é", 1), "…");
    }
}
