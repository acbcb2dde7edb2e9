//! Finds the options that number a row's seats as they are.

use super::{Numbers, Options, Row, quoted};

/// The most numbers skipped in a row before its numbers are written out instead.
const SKIPPED_IN_ROW_MAX: usize = 12;

/// Returns the row's options and, if no option numbers it, its numbers written out. Options of the row before stay if
/// they number this row as well, so that the text changes them seldom.
pub fn choose(row: &Row, is_left: &[bool], before: &Options, wanted: Options) -> (Options, Option<String>) {
    let numbers: Vec<&str> = row.seats.iter().map(|seat| seat.seat_number.as_str()).collect();
    let fits = |options: &Options| options.number(is_left) == numbers;
    let like = |before: &Options| Options {
        numbers: before.numbers,
        first_number: before.first_number,
        skip: before.skip.clone(),
        ..wanted.clone()
    };
    let same = like(before);
    if fits(&same) {
        return (same, None);
    }
    let found = Numbers::ALL.iter().filter_map(|(numbers, _)| infer(row, is_left, *numbers));
    let found = found.map(|found| like(&found)).filter(fits);
    // The one that skips least, then the one that begins where the row before begins.
    let cost = |options: &Options| (options.skip.len(), options.first_number != before.first_number);
    match found.min_by_key(cost) {
        Some(found) => (found, None),
        None => (same, Some(list(&numbers))),
    }
}

/// Returns the first number and the skipped ones with which this order gives the row's numbers, if there are any.
fn infer(row: &Row, is_left: &[bool], numbers: Numbers) -> Option<Options> {
    let parsed: Option<Vec<u32>> =
        row.seats.iter().map(|seat| seat.seat_number.parse().ok().filter(|n| *n <= 1_000_000)).collect();
    let parsed = parsed?;
    let mut options = Options { numbers, first_number: u32::MAX, ..Options::default() };
    let runs = numbers.runs(is_left);
    for (run, _) in &runs {
        let first = run.first().map(|index| parsed[*index]);
        options.first_number = options.first_number.min(first.unwrap_or(u32::MAX));
    }
    if runs.len() > 1 {
        // Both sides begin at the same number or its successor.
        options.first_number = options.first_number.saturating_sub(1) / 2 * 2 + 1;
    }
    for (run, kind) in runs {
        let step = if kind == 0 { 1 } else { 2 };
        let mut next = options.first_number + if kind == 0 { 0 } else { (options.first_number + kind) % 2 };
        for index in run {
            while next < parsed[index] && options.skip.len() <= SKIPPED_IN_ROW_MAX {
                options.skip.push(next);
                next += step;
            }
            if parsed[index] != next {
                return None;
            }
            next += step;
        }
    }
    options.skip.sort_unstable();
    (options.skip.len() <= SKIPPED_IN_ROW_MAX).then_some(options)
}

/// Writes numbers out, and runs of them as `5..12`.
fn list(numbers: &[&str]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut rest = numbers;
    while let Some(first) = rest.first() {
        let value = |text: &str| text.parse::<u32>().ok().filter(|n| n.to_string() == text && *n < 1_000_000);
        let run = |step: i64| {
            let Some(start) = value(first) else { return 1 };
            let follows = |(index, text): (usize, &&str)| {
                value(text).is_some_and(|n| i64::from(n) == i64::from(start) + step * index as i64)
            };
            rest.iter().enumerate().take_while(|(index, text)| follows((*index, text))).count()
        };
        let length = run(1).max(run(-1)).max(1);
        if length > 2 {
            parts.push(format!("{first}..{}", rest[length - 1]));
            rest = &rest[length..];
        } else {
            let is_plain = !first.contains(char::is_whitespace) && !first.contains("..") && !first.starts_with('"');
            parts.push(if is_plain { (*first).to_owned() } else { quoted(first) });
            rest = &rest[1..];
        }
    }
    parts.join(" ")
}
