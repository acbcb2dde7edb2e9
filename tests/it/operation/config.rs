//! Compares our reading of `.env` files, values and `Host` headers with python-decouple and Django.

use std::io::Write;
use std::process::{Command, Stdio};

use marquee::config::{Config, decouple};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

tests! { config: [agrees_with_decouple_and_django once needs python] }

/// Answers one JSON object of lists with another of equally long lists; null stands for an exception.
const ORACLE: &str = r#"
import json, os, sys, tempfile
from decouple import Config, Csv, RepositoryEmpty, RepositoryEnv
from django.http.request import split_domain_port, validate_host

def asked(answer, question):
    try:
        return answer(question)
    except ValueError:
        return None

def file(text):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, ".env")
        with open(path, "wb") as out:
            out.write(text.encode())
        return RepositoryEnv(path).data

def host(question):
    patterns, header = question
    domain, _ = split_domain_port(header)
    return bool(domain) and validate_host(domain, patterns)

answers = {
    "files": file,
    "lists": Csv(),
    "booleans": Config(RepositoryEmpty())._cast_boolean,
    "integers": int,
    "hosts": host,
}
questions = json.load(sys.stdin.buffer)
json.dump({k: [asked(answers[k], q) for q in v] for k, v in questions.items()}, sys.stdout)
"#;

/// Asks `MARQUEE_TEST_PYTHON`, an interpreter that can import decouple and django, about thousands
/// of generated texts and compares its answers with ours.
async fn agrees_with_decouple_and_django() {
    let questions = json!({
        "files": texts(2_000, &[
            "A", "B", "KEY", "=", "=", "=", "\n", "\n", "\n", "\r", "\r\n", "'", "\"", "#", "$", "\\",
            " ", "\t", "\x0b", "\x0c", "\x1c", "\x1f", "\0", "\u{85}", "\u{a0}", "\u{200b}",
            "\u{2028}", "\u{3000}", "\u{feff}", "export ", "é", "🎬",
        ]),
        "lists": texts(2_000, &[
            "a", ".b", "*", "[::1]", ",", ",", ",", "'", "'", "\"", "\"", "\\", "#", "\n", "\r", " ",
            "\t", "\x0b", "\u{a0}", "\x1c", "$", "é",
        ]),
        "booleans": texts(500, &["t", "rue", "TRUE", "Yes", "y", "on", "0", "1", "no", "off", "F", " "]),
        "integers": texts(1_000, &["1", "0", "42", "_", "_", "+", "-", " ", "\u{a0}", ".", "e"]),
        "hosts": hosts(2_000),
    });
    let answers = ask(&questions);
    let mut differing = Vec::new();
    for (kind, questions) in questions.as_object().expect("an object") {
        let questions = questions.as_array().expect("a list");
        let answers = answers[kind].as_array().expect("a list");
        assert_eq!(questions.len(), answers.len());
        for (question, theirs) in questions.iter().zip(answers) {
            let ours = ours(kind, question);
            if ours != *theirs {
                differing.push(format!("{kind} {question}: {theirs}, ours {ours}"));
            }
        }
    }
    assert!(differing.is_empty(), "{} answers differ:\n{}", differing.len(), differing.join("\n"));
}

fn ours(kind: &str, question: &Value) -> Value {
    let text = question.as_str().unwrap_or_default();
    match kind {
        "files" => json!(decouple::parse(text)),
        "lists" => json!(decouple::csv(text).ok()),
        "booleans" => json!(decouple::boolean(text)),
        "integers" => json!(decouple::integer(text)),
        "hosts" => {
            let patterns: Vec<String> = serde_json::from_value(question[0].clone()).expect("strings");
            // Set directly, because the settings refuse a pattern that no host can match.
            let mut config = Config::load(|_| None, "").expect("valid");
            config.allowed_hosts = patterns.iter().map(|pattern| pattern.to_lowercase()).collect();
            json!(config.host_allowed(question[1].as_str().expect("a string")))
        }
        _ => unreachable!("no such kind: {kind}"),
    }
}

fn ask(questions: &Value) -> Value {
    let python = std::env::var_os("MARQUEE_TEST_PYTHON").expect("the test needs it");
    let mut command = Command::new(python);
    let started = command.args(["-c", ORACLE]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = started.expect("Python starts");
    child.stdin.take().expect("piped").write_all(questions.to_string().as_bytes()).expect("the oracle reads");
    let output = child.wait_with_output().expect("a child");
    assert!(output.status.success(), "the oracle failed: {}", output.status);
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Texts assembled from these fragments and, now and then, any character.
fn texts(count: usize, fragments: &'static [&'static str]) -> Vec<String> {
    let fragment = prop_oneof![
        20 => select(fragments).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    sample(count, prop::collection::vec(fragment, 0..16).prop_map(|parts| parts.concat()))
}

fn hosts(count: usize) -> Vec<(Vec<String>, String)> {
    let pattern = select(&["*", "a.b", ".a.b", "A.b", ".b", ".", "[::1]", "[::a.1]", "1.2.3.4", "a.b.", "b"][..]);
    let part = select(
        &[
            "a", "a.b", "b", "B", ".", "-", ":", ":80", "8", "[", "]", "[::1]", "[::a.1]", "1.2.3.4", " ", "_", "@",
            "/", "é", "\n",
        ][..],
    );
    let patterns = prop::collection::vec(pattern.prop_map(str::to_owned), 1..4);
    let header = prop::collection::vec(part, 0..5).prop_map(|parts| parts.concat());
    sample(count, (patterns, header))
}

/// The same values in every run, so that a difference can be reproduced.
fn sample<S: Strategy>(count: usize, strategy: S) -> Vec<S::Value> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).expect("a value").current()).collect()
}
