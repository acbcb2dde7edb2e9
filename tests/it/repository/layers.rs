//! The layers of the program: arrows point down, and never in a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, files, is_rust, is_word};

tests! {
    repository: [
        arrows_point_down once,
        no_arrow_is_part_of_a_circle once,
        paths_are_found_in_every_form once,
    ]
}

/// The modules of `src` from top to bottom. A module may use those of its own layer and of the layers below.
/// `stores` are the `store` modules of the others.
const LAYERS: &[(&str, &[&str])] = &[
    ("commands", &["commands"]),
    ("router", &["admin_site", "openapi", "router", "scrape", "server"]),
    (
        "features",
        &[
            "accounts",
            "bookings",
            "cinema",
            "data",
            "holds",
            "movies",
            "orders",
            "plans",
            "posters",
            "prices",
            "programme",
            "screens",
            "shows",
            "tills",
        ],
    ),
    ("panel", &["admin"]),
    ("web", &["sessions", "web"]),
    ("state", &["long_lists", "state"]),
    ("errors", &["error"]),
    ("stores", &[STORES]),
    ("identity and settings", &["config", "identity"]),
    ("desk", &["desk"]),
    ("caches and jobs", &["cache", "jobs", "search"]),
    ("db", &["db"]),
    ("foundation", &["money", "tasks", "telemetry", "text", "time"]),
];

const STORES: &str = "stores";

/// Arrows that point up or close a circle, and why they are still there.
const EXCEPTIONS: &[(&str, &str)] = &[];

/// Which module uses which, with a file in which it does.
type Arrows = BTreeMap<(String, String), String>;

async fn arrows_point_down() {
    let arrows = arrows();
    let up = arrows.iter().filter(|((from, to), _)| layer(from) > layer(to)).map(|((from, to), file)| {
        let [of_from, of_to] = [from, to].map(|module| LAYERS[layer(module)].0);
        ((from.clone(), to.clone()), format!("{file}: {from} ({of_from}) uses {to} ({of_to})"))
    });
    let excepted = |(from, to): &(String, String)| EXCEPTIONS.contains(&(from.as_str(), to.as_str()));
    let failures: Vec<String> = up.filter(|(arrow, _)| !excepted(arrow)).map(|(_, failure)| failure).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(arrows.len() > 30, "this test does not see the imports: {arrows:?}");
}

async fn no_arrow_is_part_of_a_circle() {
    let arrows = arrows();
    // The other test reports arrows that point up.
    let is_allowed = |&(from, to): &(&str, &str)| layer(from) <= layer(to) && !EXCEPTIONS.contains(&(from, to));
    let all = arrows.keys().map(|(from, to)| (from.as_str(), to.as_str()));
    let allowed: BTreeSet<(&str, &str)> = all.filter(is_allowed).collect();
    let circles: Vec<String> = allowed
        .iter()
        .filter(|(from, to)| reaches(&allowed, to, from))
        .map(|(from, to)| {
            format!("{from} uses {to} ({}), which uses {from}", arrows[&(from.to_string(), to.to_string())])
        })
        .collect();
    assert!(circles.is_empty(), "{}", circles.join("\n"));
    for (from, to) in EXCEPTIONS {
        let exists = arrows.contains_key(&((*from).to_owned(), (*to).to_owned()));
        let is_needed = layer(from) > layer(to) || reaches(&allowed, to, from);
        assert!(exists && is_needed, "{from} -> {to}: no longer an exception, remove it");
    }
}

/// Checks whether arrows lead from one module to another.
fn reaches(arrows: &BTreeSet<(&str, &str)>, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut left = vec![from];
    while let Some(module) = left.pop() {
        if module == to {
            return true;
        }
        left.extend(
            arrows.iter().filter(|(start, _)| *start == module).map(|(_, end)| *end).filter(|end| seen.insert(end)),
        );
    }
    false
}

/// Returns the number of a module's layer; 0 is the top.
fn layer(module: &str) -> usize {
    let place = LAYERS.iter().position(|(_, modules)| modules.contains(&module));
    place.unwrap_or_else(|| panic!("{module} is in no layer: add it to LAYERS in {}", file!()))
}

/// Reads the arrows between the modules of the program.
fn arrows() -> Arrows {
    let mut arrows = Arrows::new();
    for (path, text) in files(&["src"], is_rust) {
        let module: Vec<&str> = path.trim_start_matches("src/").trim_end_matches(".rs").split('/').collect();
        if matches!(module[..], ["lib" | "main"]) || module.last() == Some(&"tests") {
            continue;
        }
        let is_store = module.get(1) == Some(&"store");
        let from = if is_store { STORES } else { module[0] };
        for used in paths(&Source::parse(&text).program, &module) {
            let to_store = used.get(1).is_some_and(|second| second == "store");
            let to = if to_store { STORES } else { used[0].as_str() };
            let is_inside = used[0] == module[0] || from == to;
            if !is_inside {
                arrows.entry((from.to_owned(), to.to_owned())).or_insert_with(|| path.clone());
            }
        }
    }
    arrows
}

/// Returns the paths that begin at the crate, in imports and in expressions, of a module's code.
fn paths(code: &str, module: &[&str]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (place, _) in
        code.match_indices("crate::").filter(|(place, _)| !code[..*place].ends_with(|c| is_word(c) || c == '$'))
    {
        tree(&code[place + "crate::".len()..], &[], &mut found);
    }
    // A path out of the module: `super::` as often as the module is deep.
    let depth = if module.last() == Some(&"mod") { module.len() - 1 } else { module.len() };
    let out = "super::".repeat(depth);
    for (place, _) in
        code.match_indices(&out).filter(|(place, _)| !code[..*place].ends_with(|c| is_word(c) || c == ':'))
    {
        let after = &code[place + out.len()..];
        if !after.starts_with("super::") {
            tree(after, &[], &mut found);
        }
    }
    found
}

/// Reads a path or a tree of paths, and returns the code after it.
fn tree<'a>(code: &'a str, before: &[String], found: &mut Vec<Vec<String>>) -> &'a str {
    let code = code.trim_start();
    if let Some(mut rest) = code.strip_prefix('{') {
        loop {
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            if let Some(rest) = rest.strip_prefix('}') {
                return rest;
            }
            let left = tree(rest, before, found);
            if left.len() == rest.len() {
                return rest;
            }
            rest = left;
        }
    }
    let name = code.split(|c| !is_word(c)).next().unwrap_or_default();
    let rest = &code[name.len()..];
    let mut path = before.to_vec();
    path.push(name.to_owned());
    if let Some(rest) = rest.strip_prefix("::")
        && rest.starts_with(|c: char| is_word(c) || c == '{')
    {
        return tree(rest, &path, found);
    }
    if name.is_empty() {
        path.pop();
    }
    // A macro is no module: those of the crate's root are exported by the module that defines them.
    if !path.is_empty() && path[0] != "self" && !rest.starts_with('!') {
        found.push(path);
    }
    let rest = rest.strip_prefix('*').unwrap_or(rest).trim_start();
    rest.strip_prefix("as ").map_or(rest, |alias| alias.trim_start_matches(|c| is_word(c) || c == ' '))
}

async fn paths_are_found_in_every_form() {
    let code = "use crate::db::{Db, list as rows, value::{Row, Value}}; use crate::{tasks::Tasks, time};
        use super::super::web::body; use super::store; fn f() { crate::orders::store::find(); }";
    let found: Vec<String> = paths(code, &["accounts", "api"]).iter().map(|path| path.join("::")).collect();
    let expected = [
        "db::Db",
        "db::list",
        "db::value::Row",
        "db::value::Value",
        "tasks::Tasks",
        "time",
        "orders::store::find",
        "web::body",
    ];
    assert_eq!(found, expected);
}
