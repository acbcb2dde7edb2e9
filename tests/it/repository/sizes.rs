//! How long files and functions may be.

use super::source::{Source, files, is_rust, unexplained};

tests! { repository: [files_are_short once, functions_are_short once, lengths_are_counted once] }

/// Most lines of a file of code.
const FILE_LINES_MAX: usize = 600;

/// Most lines of a function.
const FUNCTION_LINES_MAX: usize = 70;

/// Files that are longer, until they are split.
const LONG_FILES: &[&str] = &[];

/// Functions that are longer: tables, and those that are not split yet.
const LONG_FUNCTIONS: &[&str] = &[
    // Tables.
    "benchmark/admin: operations",
    "tests/it/contract/access.rs: rows",
    "tests/it/contract/bodies.rs: rows",
    "tests/it/contract/booking.rs: rows",
    "tests/it/contract/cancelling.rs: rows",
    "tests/it/contract/left_open.rs: rows",
    "tests/it/contract/login.rs: rows",
    "tests/it/contract/refresh.rs: rows",
    "tests/it/contract/routes.rs: plain_rows",
    "tests/it/contract/signup.rs: rows",
    "tests/it/operation/import_django.rs: conflicts_write_nothing",
    "tests/it/operation/loaddata.rs: loaddata_refuses_all_or_nothing",
    // Not split yet.
];

const FOLDERS: &[&str] = &["src", "seating", "stampede", "benchmark", "tests", "scripts", "static/admin", ".ci"];

async fn files_are_short() {
    let files = files(FOLDERS, is_code);
    assert!(files.len() > 150, "this test does not see the files: {}", files.len());
    let long = files.iter().map(|(path, text)| (path, text.lines().count()));
    let long = long.filter(|(_, lines)| *lines > FILE_LINES_MAX);
    let long = long.map(|(path, lines)| (path.clone(), format!("{path}: {lines} lines"))).collect();
    let failures = unexplained(long, LONG_FILES);
    assert!(failures.is_empty(), "over {FILE_LINES_MAX} lines:\n{}", failures.join("\n"));
}

async fn functions_are_short() {
    let mut count = 0;
    let mut long = Vec::new();
    for (path, text) in files(FOLDERS, is_code) {
        let is_rust = is_rust(&path, "");
        let functions = if is_rust { Source::parse(&text).functions() } else { indented_functions(&text) };
        count += functions.len();
        for (name, line, lines) in functions.into_iter().filter(|(_, _, lines)| *lines > FUNCTION_LINES_MAX) {
            long.push((format!("{path}: {name}"), format!("{path}:{line}: {name} has {lines} lines")));
        }
    }
    assert!(count > 2_000, "this test does not see the functions: {count}");
    let failures = unexplained(long, LONG_FUNCTIONS);
    assert!(failures.is_empty(), "over {FUNCTION_LINES_MAX} lines:\n{}", failures.join("\n"));
}

fn is_code(path: &str, first_line: &str) -> bool {
    let endings = [".rs", ".py", ".js", ".mjs", ".ts"];
    let is_script = first_line.starts_with("#!") && first_line.contains("python");
    endings.iter().any(|ending| path.ends_with(ending)) || is_script
}

/// Returns the functions of a Python or JavaScript file: name, first line, number of lines. One ends before the next
/// line that is not indented further, or with its closing brace.
fn indented_functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut functions = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let is_outside = |next: &&str| !next.trim().is_empty() && indent(next) <= indent(line);
        // The signature may take several lines and close on its own.
        let closes = |next: &str| next.trim_start().starts_with([')', '}', ']']);
        let mut end = first + 1;
        while end < lines.len() && (!is_outside(&lines[end]) || closes(lines[end])) {
            let is_end =
                is_outside(&lines[end]) && lines[end].trim_start().starts_with('}') && !lines[end].ends_with('{');
            end += 1;
            if is_end {
                break;
            }
        }
        let blank = lines[first..end].iter().rev().take_while(|line| line.trim().is_empty()).count();
        functions.push((name.to_owned(), first + 1, end - first - blank));
    }
    functions
}

/// Returns the name of the function that begins on this line, in Python or JavaScript.
fn function_name(line: &str) -> Option<&str> {
    let mut line = line.trim_start();
    for word in ["export ", "default ", "async "] {
        line = line.strip_prefix(word).unwrap_or(line);
    }
    for word in ["def ", "function "] {
        if let Some(rest) = line.strip_prefix(word) {
            return rest.split('(').next();
        }
    }
    let (name, value) = line.strip_prefix("const ")?.split_once(" = ")?;
    value.ends_with("=> {").then_some(name)
}

async fn lengths_are_counted() {
    let rust = "fn one() {\n    let text = \"}\";\n    // }\n    let c = '{';\n}\n\ntrait T {\n    fn none(&self);\n    fn two<'a>() {}\n}\n";
    let source = Source::parse(rust);
    let found = |functions: Vec<(String, usize, usize)>| {
        functions.iter().map(|(name, line, lines)| format!("{name} {line} {lines}")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(found(source.functions()), "one 1 5, two 9 1");
    let python = "def one(\n    a,\n):\n    return a\n\n\nclass C:\n    def two(self):\n        pass\n    x = 1\n";
    assert_eq!(found(indented_functions(python)), "one 1 4, two 8 2");
    let script = "export async function one(a) {\n  const two = (b) => {\n    f(b);\n  };\n}\nf();\n";
    assert_eq!(found(indented_functions(script)), "one 1 5, two 2 3");
}
