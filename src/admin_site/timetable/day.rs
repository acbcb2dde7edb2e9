//! A day: a line for each screen with its shows along the time, and the same as a list.

use std::collections::HashMap;

use askama::Template;
use axum::response::Response;
use jiff::civil::{DateTime, time};

use super::layout::{self, Axis, Extent, HOUR};
use super::moving::Refused;
use super::store::ShowTimes;
use super::{Navigation, in_words, version};
use crate::admin::Permission;
use crate::admin::guard::Page;
use crate::admin::render::Frame;
use crate::config::Config;
use crate::shows::admin::SHOWS;
use crate::time::{cinema, clock};
use crate::web::html::page::html;

/// The height of a lane in pixels, and that of a bar in it.
const LANE: usize = 64;
const BAR: usize = 56;

/// The width of an hour in pixels, unless the window has room for more.
const HOUR_WIDTH: i64 = 58;

#[derive(Template)]
#[template(path = "admin/timetable_day.html")]
struct DayPage<'a> {
    frame: Frame,
    navigation: Navigation,
    refused: Option<Refused>,
    /// The title of the show that was not moved; empty if it is not on this day.
    refused_title: &'a str,
    /// Milliseconds since 1970, as scripts count.
    from_ms: i64,
    until_ms: i64,
    zone: &'a str,
    width: i64,
    hours: Vec<Tick>,
    screens: Vec<ScreenLine<'a>>,
    may_add: bool,
    may_change: bool,
    printed_at: String,
}

struct Tick {
    x: String,
    text: String,
}

struct ScreenLine<'a> {
    id: i64,
    name: &'a str,
    height: usize,
    bars: Vec<Bar<'a>>,
    gaps: Vec<Gap>,
}

/// A show, drawn and in words.
struct Bar<'a> {
    show: &'a ShowTimes,
    y: usize,
    whole: Extent,
    pre_show: Extent,
    feature: Extent,
    cleaning: Extent,
    sold: Extent,
    iso: String,
    begins: String,
    feature_at: String,
    until: String,
    free_at: String,
    version: String,
    clash: String,
}

/// A stretch of time in which the screen is free.
struct Gap {
    extent: Extent,
    /// In words for people who hear it.
    length: String,
    /// What fits into it.
    mark: String,
    begins: String,
    /// As a field of the form of a new show takes it.
    local: String,
}

pub(super) fn page(
    page: &Page,
    navigation: Navigation,
    bounds: (i64, i64),
    screens: &[(i64, String)],
    by_screen: &HashMap<i64, Vec<&ShowTimes>>,
    refused: Option<Refused>,
) -> Response {
    let config = &page.app.config;
    let axis = axis(config, navigation.chosen.first(config), bounds, by_screen);
    let none = Vec::new();
    let lines =
        screens.iter().map(|(id, name)| screen_line(config, axis, *id, name, by_screen.get(id).unwrap_or(&none)));
    let is_refused = |show: &&&ShowTimes| refused.as_ref().is_some_and(|refused| refused.show == show.id);
    let refused_title = by_screen.values().flatten().find(is_refused).map_or("", |show| &show.movie_title);
    html(&DayPage {
        frame: page.frame(None, vec![(super::LINK.label.to_owned(), String::new())]),
        from_ms: axis.from / 1_000,
        until_ms: axis.until / 1_000,
        zone: config.time_zone.iana_name().unwrap_or("UTC"),
        width: (axis.until - axis.from) / HOUR * HOUR_WIDTH,
        hours: hours(config, axis),
        screens: lines.collect(),
        may_add: page.staff.may(Permission::Add, &SHOWS),
        may_change: page.staff.may(Permission::Change, &SHOWS),
        printed_at: cinema::weekday_minute(clock::now(), &config.time_zone),
        navigation,
        refused,
        refused_title,
    })
}

/// Returns the hours to draw: from ten to midnight, and an hour around earlier and later shows, within the business day.
fn axis(
    config: &Config,
    day: jiff::civil::Date,
    (from, until): (i64, i64),
    by_screen: &HashMap<i64, Vec<&ShowTimes>>,
) -> Axis {
    let local = |time: DateTime| cinema::to_utc(time, &config.time_zone).map_or(from, |(micros, _)| micros);
    let (mut first, mut last) =
        (local(day.to_datetime(time(10, 0, 0, 0))), local(day.to_datetime(time(23, 0, 0, 0))) + HOUR);
    for show in by_screen.values().flatten() {
        first = first.min(show.begins - HOUR);
        last = last.max(show.until + config.turnaround + HOUR);
    }
    // Whole hours of the business day.
    let down = |time: i64| time - (time - from).rem_euclid(HOUR);
    Axis { from: down(first).max(from), until: (down(last.saturating_sub(1)) + HOUR).clamp(from + HOUR, until) }
}

fn hours(config: &Config, axis: Axis) -> Vec<Tick> {
    let count = (axis.until - axis.from) / HOUR;
    let tick = |hour: i64| {
        let at = axis.from + hour * HOUR;
        Tick { x: axis.extent(at, at).x, text: clock_time(config, at) }
    };
    (0..count).map(tick).collect()
}

fn clock_time(config: &Config, micros: i64) -> String {
    cinema::format(micros, &config.time_zone, "%H:%M")
}

fn screen_line<'a>(config: &Config, axis: Axis, id: i64, name: &'a str, shows: &[&'a ShowTimes]) -> ScreenLine<'a> {
    let lanes = layout::lanes(shows, config.turnaround);
    let clashes = layout::clashes(shows, config.turnaround);
    let bars = shows.iter().zip(&lanes).zip(&clashes).map(|((show, lane), clash)| {
        let free_at = show.until + config.turnaround;
        let part_sold = (show.until - show.begins) * show.sold.clamp(0, show.seats) / show.seats.max(1);
        Bar {
            y: lane * LANE + (LANE - BAR) / 2,
            whole: axis.extent(show.begins, free_at),
            pre_show: axis.extent(show.begins, show.feature_at),
            feature: axis.extent(show.feature_at, show.until),
            cleaning: axis.extent(show.until, free_at),
            sold: axis.extent(show.begins, show.begins + part_sold),
            iso: clock::iso(show.begins),
            // A show of an earlier day is not mistaken for one of this day.
            begins: cinema::format(
                show.begins,
                &config.time_zone,
                if show.begins < axis.from { "%a %H:%M" } else { "%H:%M" },
            ),
            feature_at: clock_time(config, show.feature_at),
            until: clock_time(config, show.until),
            free_at: clock_time(config, free_at),
            version: version(show),
            clash: in_words(clash.as_ref(), config),
            show,
        }
    });
    let gap = |(from, until): (i64, i64)| {
        let minutes = (until - from) / layout::MINUTE;
        let length = match (minutes / 60, minutes % 60) {
            (0, minutes) => format!("{minutes} min"),
            (hours, 0) => format!("{hours} h"),
            (hours, minutes) => format!("{hours} h {minutes} min"),
        };
        Gap {
            extent: axis.extent(from, until),
            mark: if minutes < 90 { String::new() } else { length.clone() },
            length,
            begins: clock_time(config, from),
            local: cinema::short(from, &config.time_zone, "T"),
        }
    };
    ScreenLine {
        id,
        name,
        height: (lanes.iter().max().unwrap_or(&0) + 1) * LANE,
        bars: bars.collect(),
        gaps: layout::gaps(shows, (axis.from, axis.until), config.turnaround).into_iter().map(gap).collect(),
    }
}
