//! C libraries that are preloaded into a server, to change how it sees its machine.

use std::path::Path;
use std::process::Command;

/// Returns why none can be preloaded here; `None` if they can.
pub fn missing() -> Option<&'static str> {
    if !cfg!(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")) {
        Some("Linux with the GNU C library on 64 bits only")
    } else if Command::new("cc").arg("--version").output().is_err() {
        Some("no C compiler `cc` found")
    } else {
        None
    }
}

/// Compiles `tests/it/support/<name>.c` into a directory; returns the value for `LD_PRELOAD`.
pub fn compiled(name: &str, directory: &Path) -> String {
    let library = directory.join(name).with_extension("so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support").join(name).with_extension("c");
    let done = Command::new("cc").args(["-std=gnu11", "-shared", "-fPIC", "-o"]).args([&library, &source]).output();
    let done = done.expect("cc starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    library.into_os_string().into_string().expect("the path is UTF-8")
}
