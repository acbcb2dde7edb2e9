//! The figures of a run, as JSON and as text.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::atomic::Ordering;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::engine::{Figures, Live, SLICE, Tally, outcome_name};
use crate::referee::best::Sale;
use crate::referee::{Show, Verdict};
use crate::run::Load;
use crate::scenario::KINDS;

/// The results of a run. Counts, rates and latencies cover the measured time, without the warm-up.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub scenario: &'static str,
    pub urls: Vec<String>,
    pub connections: usize,
    pub threads: usize,
    /// The requested rate per second; null in a closed loop.
    pub rate: Option<f64>,
    pub users: usize,
    pub shows: usize,
    pub warmup_seconds: f64,
    pub measured_seconds: f64,
    pub requests: u64,
    pub per_second: f64,
    pub outcomes: BTreeMap<String, u64>,
    /// Milliseconds. In a closed loop a stall counts once per connection; with a rate, every request that was due
    /// during the stall counts, from when it was due.
    pub latency_ms: Latency,
    pub kinds: BTreeMap<&'static str, KindFigures>,
    /// How often a seat was booked, held or given back.
    pub seats: u64,
    pub seats_per_second: f64,
    pub orders: u64,
    pub orders_per_second: f64,
    /// The sale of a show by best seats.
    pub sale: Option<Sale>,
    /// Refusals of the requests of groups and parties, by their code.
    pub refusals: BTreeMap<String, u64>,
    pub connects: u64,
    pub connect_failures: u64,
    pub connections_closed: u64,
    /// Requests that were due and never sent: the rate was too high for this many connections.
    pub unsent: u64,
    /// Whether bookings and cancels were sent with keys; then each counts once, by its last reply.
    pub keys: bool,
    /// How often a request was repeated with its key, including the warm-up.
    pub repeats: u64,
    /// The longest time without any reply below 500 in the whole run, in steps of a tenth of a second.
    pub longest_gap_ms: u64,
    /// Replies below 500 in each second since the start, including the warm-up.
    pub decided_each_second: Vec<u64>,
    pub client_cpu_seconds: f64,
    /// Over all requests, including the warm-up.
    pub client_cpu_us_per_request: f64,
    /// Why the run ended early.
    pub broken: Option<String>,
    /// How long the shows' counts took to agree with the users' lists.
    pub counts_settled_ms: u64,
    /// Null if it was switched off.
    pub referee: Option<Verdict>,
}

#[derive(Debug, Clone, Serialize)]
pub struct KindFigures {
    pub requests: u64,
    pub per_second: f64,
    pub outcomes: BTreeMap<String, u64>,
    pub latency_ms: Latency,
}

#[derive(Debug, Clone, Serialize)]
pub struct Latency {
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p99_9: f64,
    pub max: f64,
    /// Upper bound and count of each step.
    pub histogram: Vec<(f64, u64)>,
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Self {
        let quantile = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Latency {
            mean: histogram.mean() / 1e3,
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p99_9: quantile(0.999),
            max: histogram.max() as f64 / 1e3,
            histogram: steps(histogram),
        }
    }
}

/// Counts between bounds evenly spaced on a logarithmic scale, from the first to the last that is not zero.
fn steps(histogram: &Histogram<u64>) -> Vec<(f64, u64)> {
    let mut counted = Vec::new();
    let mut below = 0;
    let mut decade = 1_u64;
    while below < histogram.len() {
        for tenths in [10, 15, 20, 30, 50, 70] {
            let bound = decade * tenths / 10;
            // Counts are differences of ranks, so that each value counts in one step only.
            let rank = if bound >= histogram.max() { histogram.len() } else { histogram.count_between(0, bound) };
            counted.push((bound as f64 / 1e3, rank - below));
            below = rank;
        }
        decade *= 10;
    }
    let some = |step: &(f64, u64)| step.1 > 0;
    let (Some(first), Some(last)) = (counted.iter().position(some), counted.iter().rposition(some)) else {
        return Vec::new();
    };
    counted[first..=last].to_vec()
}

fn outcomes(figures: &Figures) -> BTreeMap<String, u64> {
    let named = figures.outcomes.iter().enumerate().filter(|(_, count)| **count > 0);
    named.map(|(outcome, &count)| (outcome_name(outcome), count)).collect()
}

/// The longest run of empty slices between the first reply and the end.
fn longest_gap(timeline: &[u64]) -> Duration {
    let begun = timeline.iter().position(|&count| count > 0).unwrap_or(0);
    let gaps = timeline[begun..].split(|&count| count > 0).map(<[u64]>::len);
    SLICE * gaps.max().unwrap_or(0) as u32
}

impl Report {
    #[expect(clippy::too_many_arguments, reason = "called once, with everything a run leaves behind")]
    pub(crate) fn new(
        load: &Load,
        users: usize,
        shows: &[Show],
        tally: &Tally,
        live: &Live,
        cpu: Duration,
        sale: Option<Sale>,
        referee: Option<Verdict>,
        settled: Duration,
    ) -> Self {
        let seconds = tally.measured.as_secs_f64();
        let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let mut total: Option<Figures> = None;
        let mut kinds = BTreeMap::new();
        for ((_, name), figures) in KINDS.iter().zip(&tally.figures).filter(|(_, figures)| figures.count() > 0) {
            let requests = figures.count();
            let of_kind = KindFigures {
                requests,
                per_second: per_second(requests),
                outcomes: outcomes(figures),
                latency_ms: Latency::of(&figures.latency),
            };
            kinds.insert(*name, of_kind);
            total.get_or_insert_with(Figures::new).add(figures);
        }
        let total = total.unwrap_or_else(Figures::new);
        // A server that died and did not come back was silent until the end.
        let mut timeline = tally.timeline.clone();
        let slices = ((load.warmup + tally.measured).as_millis() / SLICE.as_millis()) as usize;
        timeline.resize(timeline.len().max(slices), 0);
        let replies = live.replies.load(Ordering::Relaxed);
        Report {
            scenario: load.scenario.name(),
            urls: load.urls.clone(),
            connections: load.connections,
            threads: load.threads,
            rate: load.rate,
            users,
            shows: shows.len(),
            warmup_seconds: load.warmup.as_secs_f64(),
            measured_seconds: seconds,
            requests: total.count(),
            per_second: per_second(total.count()),
            outcomes: outcomes(&total),
            latency_ms: Latency::of(&total.latency),
            kinds,
            connects: tally.connects,
            connect_failures: tally.connect_failures,
            connections_closed: tally.closed,
            unsent: tally.unsent,
            keys: load.keys,
            repeats: tally.repeats,
            seats: tally.seats,
            seats_per_second: per_second(tally.seats),
            orders: tally.orders,
            orders_per_second: per_second(tally.orders),
            sale,
            refusals: tally.refusals.clone(),
            longest_gap_ms: longest_gap(&timeline).as_millis() as u64,
            decided_each_second: timeline.chunks(10).map(|slices| slices.iter().sum()).collect(),
            client_cpu_seconds: cpu.as_secs_f64(),
            client_cpu_us_per_request: if replies > 0 { cpu.as_secs_f64() * 1e6 / replies as f64 } else { 0.0 },
            broken: live.broken.get().cloned(),
            counts_settled_ms: settled.as_millis() as u64,
            referee,
        }
    }
}

fn list(outcomes: &BTreeMap<String, u64>) -> String {
    let parts: Vec<String> = outcomes.iter().map(|(name, count)| format!("{count} × {name}")).collect();
    parts.join(", ")
}

/// The summary for people.
impl Display for Report {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let mode = self.rate.map_or("closed loop".to_owned(), |rate| format!("open loop at {rate}/s"));
        writeln!(
            f,
            "{}: {} connections, {mode}, {} users, {} shows",
            self.scenario, self.connections, self.users, self.shows
        )?;
        let Latency { p50, p90, p99, p99_9, max, ref histogram, .. } = self.latency_ms;
        writeln!(f, "  {:.0} requests/s ({} in {:.1} s)", self.per_second, self.requests, self.measured_seconds)?;
        writeln!(f, "  latency ms   p50 {p50:.2}   p90 {p90:.2}   p99 {p99:.2}   p99.9 {p99_9:.2}   max {max:.2}")?;
        for (name, kind) in &self.kinds {
            let Latency { p50, p99, max, .. } = kind.latency_ms;
            let (rate, replies) = (kind.per_second, list(&kind.outcomes));
            writeln!(f, "  {name:<12} {rate:8.0}/s   p50 {p50:.2}   p99 {p99:.2}   max {max:.2}   {replies}")?;
        }
        draw(f, histogram)?;
        if self.rate.is_none() {
            writeln!(f, "  (closed loop: a stall counts once per connection; --rate shows what users would see)")?;
        }
        if self.unsent > 0 {
            writeln!(
                f,
                "  {} requests were due but never sent: server too slow for the rate, or too few connections",
                self.unsent
            )?;
        }
        if self.keys {
            writeln!(f, "  with keys: {} requests were repeated", self.repeats)?;
        }
        if self.scenario == "family" {
            let (seats, orders) = (self.seats_per_second, self.orders_per_second);
            writeln!(f, "  {seats:.0} seats/s held, ordered or given back; {orders:.0} orders/s")?;
            writeln!(f, "  refused: {}", list(&self.refusals))?;
        }
        if let Some(Sale { seats, seats_per_second, splits }) = self.sale {
            writeln!(
                f,
                "  {seats} seats granted, {seats_per_second:.0}/s until the last; {splits} parties were split"
            )?;
            writeln!(f, "  refused: {}", list(&self.refusals))?;
        }
        let (made, failed, closed) = (self.connects, self.connect_failures, self.connections_closed);
        writeln!(
            f,
            "  connections: {made} established, {failed} failed, {closed} closed; longest silence {} ms",
            self.longest_gap_ms
        )?;
        writeln!(
            f,
            "  client CPU: {:.2} s, {:.2} µs per request",
            self.client_cpu_seconds, self.client_cpu_us_per_request
        )?;
        if let Some(why) = &self.broken {
            writeln!(f, "  ENDED EARLY: {why}")?;
        }
        match &self.referee {
            None => writeln!(f, "  referee: switched off"),
            Some(verdict) => judged(f, verdict, self.counts_settled_ms),
        }
    }
}

fn judged(f: &mut Formatter, verdict: &Verdict, settled_ms: u64) -> fmt::Result {
    let Verdict {
        sold, seats_sold, cancelled, unknown, unknown_but_booked, settled, users_checked, shows_checked, ..
    } = verdict;
    writeln!(
        f,
        "  referee: {sold} answered 201 on {seats_sold} seats, {cancelled} cancelled, {unknown} without an outcome \
         ({unknown_but_booked} of them booked), {settled} settled by a repeat; checked {users_checked} users and \
         {shows_checked} shows, counts agreed after {settled_ms} ms"
    )?;
    if verdict.holds > 0 {
        let Verdict { holds, orders, tried_again, still_held, .. } = verdict;
        writeln!(
            f,
            "  referee: {holds} holds, {orders} orders; {tried_again} free seats tried again, \
             {still_held} perhaps still held"
        )?;
    }
    if verdict.is_clean() {
        return writeln!(f, "  VERDICT: clean");
    }
    writeln!(f, "  VERDICT: {} VIOLATIONS", verdict.violations_total)?;
    for violation in &verdict.violations {
        writeln!(f, "    {}: {}\n      {}", violation.kind, violation.text, violation.evidence)?;
    }
    Ok(())
}

/// Draws a bar for each step, its length relative to the largest.
fn draw(f: &mut Formatter, steps: &[(f64, u64)]) -> fmt::Result {
    const WIDTH: u64 = 50;
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let largest = steps.iter().map(|step| step.1).max().unwrap_or(0).max(1);
    let total: u64 = steps.iter().map(|step| step.1).sum();
    let mut below = 0;
    for (bound, count) in steps {
        below += count;
        let eighths = (count * WIDTH * 8).div_ceil(largest);
        let bar = "█".repeat((eighths / 8) as usize) + EIGHTHS[(eighths % 8) as usize];
        let pad = " ".repeat((WIDTH + 1).saturating_sub(eighths.div_ceil(8)) as usize);
        let share = below as f64 * 100.0 / total as f64;
        writeln!(f, "  ≤ {bound:>9} ms {bar}{pad}{share:8.3}%")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn histogram(values: &[u64]) -> Histogram<u64> {
        let mut histogram = Figures::new().latency;
        values.iter().for_each(|&value| histogram.saturating_record(value));
        histogram
    }

    #[test]
    fn percentiles() {
        let values: Vec<u64> = (1..=1_000).map(|value| value * 1_000).collect();
        let latency = Latency::of(&histogram(&values));
        for (found, expected) in [
            (latency.p50, 500.0),
            (latency.p90, 900.0),
            (latency.p99, 990.0),
            (latency.p99_9, 999.0),
            (latency.max, 1_000.0),
            (latency.mean, 500.5),
        ] {
            assert!((found - expected).abs() <= expected / 1_000.0, "{found} for {expected}");
        }
        assert_eq!(Latency::of(&histogram(&[])).histogram, []);
    }

    #[test]
    fn the_histogram_is_drawn() {
        struct Drawn(Vec<(f64, u64)>);
        impl Display for Drawn {
            fn fmt(&self, f: &mut Formatter) -> fmt::Result {
                draw(f, &self.0)
            }
        }
        let text = Drawn(steps(&histogram(&[90, 95, 190, 400]))).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert_eq!(lines[0], format!("  ≤       0.1 ms {}   50.000%", "█".repeat(50)));
        assert_eq!(lines[1].matches('█').count(), 0);
        assert_eq!(lines[4].matches('█').count(), 25);
        assert!(lines[4].ends_with(" 100.000%"));
    }

    #[test]
    fn the_longest_silence() {
        assert_eq!(longest_gap(&[0, 0, 0, 5, 0, 0, 1, 0]), SLICE * 2);
        assert_eq!(longest_gap(&[1, 0, 0, 0]), SLICE * 3);
        assert_eq!(longest_gap(&[]), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_sorted_values(mut values in prop::collection::vec(1_u64..60_000_000, 1..400)) {
            let histogram = histogram(&values);
            values.sort_unstable();
            for quantile in [0.5, 0.9, 0.99, 0.999] {
                let rank = ((values.len() as f64 * quantile).ceil() as usize).max(1);
                let exact = values[rank - 1] as f64;
                let found = histogram.value_at_quantile(quantile) as f64;
                prop_assert!((found - exact).abs() <= exact / 500.0 + 1.0, "{quantile}: {found} for {exact}");
            }
            let counted: u64 = steps(&histogram).iter().map(|step| step.1).sum();
            prop_assert_eq!(counted, values.len() as u64);
        }
    }
}
