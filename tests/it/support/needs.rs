//! What some tests need beyond their engine: each function returns why it is missing on this machine, or `None`.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use super::{Engine, engine, preload};

/// Returns why a test can't run on this engine; `None` if it can.
pub type Need = fn(Option<Engine>) -> Option<String>;

/// A C compiler and a C library that can preload what it compiles.
pub fn preload(_: Option<Engine>) -> Option<String> {
    preload::missing().map(str::to_owned)
}

/// A Python that can import the packages in `tests/requirements.txt`: `MARQUEE_TEST_PYTHON`.
///
/// # Panics
/// If it is missing and `MARQUEE_TEST_REQUIRE_PYTHON` is 1.
pub fn python(_: Option<Engine>) -> Option<String> {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    let missing = MISSING.get_or_init(|| {
        let Some(python) = std::env::var_os("MARQUEE_TEST_PYTHON") else {
            return Some("MARQUEE_TEST_PYTHON is not set".to_owned());
        };
        match Command::new(&python).args(["-c", "import decouple, django"]).output() {
            Ok(output) if output.status.success() => None,
            Ok(_) => Some("MARQUEE_TEST_PYTHON lacks the packages in tests/requirements.txt".to_owned()),
            Err(error) => Some(format!("MARQUEE_TEST_PYTHON is {}: {error}", Path::new(&python).display())),
        }
    });
    let is_required = std::env::var("MARQUEE_TEST_REQUIRE_PYTHON").is_ok_and(|value| value == "1");
    assert!(!is_required || missing.is_none(), "MARQUEE_TEST_REQUIRE_PYTHON is 1: {missing:?}");
    missing.clone()
}

/// A database server that the test may kill.
pub fn own_server(engine: Option<Engine>) -> Option<String> {
    let is_given = engine.is_some_and(engine::is_given);
    is_given.then(|| "TEST_MYSQL_URL names a running server".to_owned())
}

/// The program `script`, which runs another on a terminal.
pub fn terminal(_: Option<Engine>) -> Option<String> {
    let is_there = Command::new("script").arg("--version").output().is_ok();
    (!is_there).then(|| "no program `script` found".to_owned())
}

/// More open files than most machines allow at first; raises the limit if this process may.
pub fn many_files(_: Option<Engine>) -> Option<String> {
    const FILES: usize = 10_500;
    let script =
        r#"[ "$(ulimit -n)" = unlimited ] || [ "$(ulimit -n)" -ge "$1" ] || prlimit --pid "$2" --nofile="$1:""#;
    let me = std::process::id().to_string();
    let allowed = Command::new("sh").args(["-c", script, "sh", &FILES.to_string(), &me]).status();
    (!allowed.expect("a shell starts").success()).then(|| format!("too few files may be open: ulimit -n {FILES}"))
}
