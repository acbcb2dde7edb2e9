//! The timetable: the shows of a business day or of a film week, by screen.

mod day;
mod layout;
mod moving;
mod store;
mod week;

use std::collections::HashMap;

use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::ToSpan;
use jiff::civil::Date;

use self::layout::{Clash, MINUTE};
use self::moving::Refused;
pub use self::moving::move_show;
use self::store::ShowTimes;
use crate::admin::guard::Page;
use crate::admin::{PageLink, Permission, words};
use crate::config::Config;
use crate::error::ApiError;
use crate::shows::admin::SHOWS;
use crate::time::cinema;
use crate::web::html::forms::Posted;

/// The link to it in the panel's menu.
pub const LINK: PageLink = PageLink { label: "Timetable", url: "/admin/timetable/", model: "shows" };

/// What a page shows.
#[derive(Debug, Clone, Copy)]
struct Chosen {
    day: Date,
    is_week: bool,
    /// Cancelled shows are drawn, too.
    has_cancelled: bool,
}

impl Chosen {
    /// Reads `?day=2026-12-07&view=week&cancelled=1`. The default is today.
    fn read(config: &Config, query: &Posted) -> Chosen {
        Chosen {
            day: query.text("day").parse().unwrap_or_else(|_| config.business_days().today()),
            is_week: query.text("view") == "week",
            has_cancelled: query.text("cancelled") == "1",
        }
    }

    /// Returns the first day that it shows.
    fn first(self, config: &Config) -> Date {
        match self.is_week {
            true => self.day.saturating_sub(i64::from(self.day.weekday().since(config.film_week_starts_on)).days()),
            false => self.day,
        }
    }

    fn url(self) -> String {
        let view = if self.is_week { "&view=week" } else { "" };
        let cancelled = if self.has_cancelled { "&cancelled=1" } else { "" };
        format!("/admin/timetable/?day={}{view}{cancelled}", self.day)
    }

    /// Returns the parameter with which a form or an action leads back here.
    fn back(self) -> String {
        form_urlencoded::Serializer::new(String::new()).append_pair("back", &self.url()).finish()
    }
}

/// The controls above a timetable.
struct Navigation {
    chosen: Chosen,
    /// See [`Chosen::back`].
    back: String,
    title: String,
    /// Texts and URLs.
    links: Vec<(&'static str, String)>,
    /// The link that shows or hides cancelled shows; none if there are none.
    switch: Option<(String, String)>,
    /// The link to the page that copies the day or the week; none for those who may not add shows.
    copy: Option<(&'static str, String)>,
    /// How many shows there are, and seats sold.
    summary: String,
    notices: Vec<String>,
}

/// Shows a day or a week to staff who may view shows.
///
/// # Errors
/// [`ApiError::NotPermitted`]
pub async fn page(page: Page, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    if !page.staff.sees(&SHOWS) {
        return Err(ApiError::NotPermitted);
    }
    let chosen = Chosen::read(&page.app.config, &Posted::in_query(query.as_deref()));
    show(&page, chosen, None).await
}

/// Returns the page, with a move that was refused if there is one.
async fn show(page: &Page, chosen: Chosen, refused: Option<Refused>) -> Result<Response, ApiError> {
    let config = &page.app.config;
    let days = config.business_days();
    let first = chosen.first(config);
    let count = if chosen.is_week { 7 } else { 1 };
    let bounds = (days.start(first), days.start_after(first, count));
    let mut shows = store::shows(&page.app.db, bounds, config.turnaround).await?;
    let screens = sorted(store::screens(&page.app.db).await?);
    let mut navigation = navigation(page, chosen, first, &shows, bounds);
    if shows.len() > store::SHOWS_MAX {
        shows.truncate(store::SHOWS_MAX);
        navigation.notices.push(format!("Only the first {} shows are on this page.", store::SHOWS_MAX));
    }
    if !chosen.has_cancelled {
        shows.retain(|show| !show.is_cancelled);
    }
    let by_screen = by_screen(&shows);
    let status = if refused.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let shown = match chosen.is_week {
        true => week::page(page, navigation, first, &screens, &by_screen),
        false => day::page(page, navigation, bounds, &screens, &by_screen, refused),
    };
    Ok((status, shown).into_response())
}

fn by_screen(shows: &[ShowTimes]) -> HashMap<i64, Vec<&ShowTimes>> {
    let mut by_screen: HashMap<i64, Vec<&ShowTimes>> = HashMap::new();
    for show in shows {
        by_screen.entry(show.screen_id).or_default().push(show);
    }
    by_screen
}

/// Sorts screens by name, with the numbers in names by value: Screen 2 comes before Screen 10.
fn sorted(mut screens: Vec<(i64, String)>) -> Vec<(i64, String)> {
    let key = |name: &str| {
        let (mut key, mut digits) = (String::new(), String::new());
        for c in name.to_lowercase().chars() {
            if c.is_ascii_digit() {
                digits.push(c);
                continue;
            }
            key += &padded(&digits);
            digits.clear();
            key.push(c);
        }
        key + &padded(&digits)
    };
    screens.sort_by_cached_key(|(id, name)| (key(name), *id));
    screens
}

/// Returns a number with leading zeros, so that it sorts by its value.
fn padded(digits: &str) -> String {
    if digits.is_empty() { String::new() } else { format!("{digits:0>9}") }
}

fn navigation(page: &Page, chosen: Chosen, first: Date, shows: &[ShowTimes], bounds: (i64, i64)) -> Navigation {
    let config = &page.app.config;
    let to = |days: i64| Chosen { day: first.saturating_add(days.days()), ..chosen }.url();
    let today = Chosen { day: config.business_days().today(), ..chosen }.url();
    let other = Chosen { is_week: !chosen.is_week, ..chosen }.url();
    let links = match chosen.is_week {
        true => vec![("Previous week", to(-7)), ("This week", today), ("Next week", to(7)), ("Show the day", other)],
        false => vec![("Previous day", to(-1)), ("Today", today), ("Next day", to(1)), ("Show the week", other)],
    };
    let last = if chosen.is_week { first.saturating_add(6.days()) } else { first };
    let title = match chosen.is_week {
        true => format!("{} to {}", first.strftime("%a, %-d %B"), last.strftime("%a, %-d %B %Y")),
        false => first.strftime("%A, %-d %B %Y").to_string(),
    };
    let of_days = || shows.iter().filter(|show| show.begins >= bounds.0);
    let live = || of_days().filter(|show| !show.is_cancelled);
    let (seats, sold) = live().fold((0, 0), |(seats, sold), show| (seats + show.seats, sold + show.sold));
    let cancelled = of_days().filter(|show| show.is_cancelled).count() as i64;
    let switch = (cancelled > 0).then(|| {
        let count = words::count_text(cancelled, "cancelled show", "cancelled shows");
        let verb = if chosen.has_cancelled { "Hide" } else { "Show" };
        (format!("{verb} {count}"), Chosen { has_cancelled: !chosen.has_cancelled, ..chosen }.url())
    });
    let (text, action) =
        if chosen.is_week { ("Copy this week…", "copy_week") } else { ("Copy this day…", "copy_day") };
    let copy = format!("/admin/shows/actions/{action}/?from={first}&to={last}&{}", chosen.back());
    Navigation {
        chosen,
        back: chosen.back(),
        title,
        links,
        switch,
        copy: page.staff.may(Permission::Add, &SHOWS).then_some((text, copy)),
        summary: format!("{}, {sold} of {seats} seats sold", words::count_text(live().count() as i64, "show", "shows")),
        notices: clock_changes(config, first, if chosen.is_week { 7 } else { 1 }),
    }
}

/// Says which of these days are longer or shorter than others, because the clocks change.
fn clock_changes(config: &Config, first: Date, count: i64) -> Vec<String> {
    let days = config.business_days();
    let change = |place: i64| {
        let day = first.saturating_add(place.days());
        let (from, until) = days.bounds(day);
        let hours = until.saturating_sub(from) / layout::HOUR;
        let what = if hours < 24 { "forward" } else { "back" };
        let text = format!("The clocks go {what}: {} has {hours} hours.", day.strftime("%A, %-d %B"));
        (hours != 24 && hours > 0).then_some(text)
    };
    (0..count).filter_map(change).collect()
}

/// Returns the version of a show in a few characters, such as `3D OmU`, or `2D nb/de` for its language and subtitles if it
/// has no label.
fn version(show: &ShowTimes) -> String {
    let ShowTimes { format, labels, language, subtitles, .. } = show;
    let spoken = match (labels.is_empty(), subtitles.is_empty()) {
        (false, _) => labels.clone(),
        (true, true) => language.clone(),
        (true, false) => format!("{language}/{subtitles}"),
    };
    let unlisted = if show.is_unlisted { "Unlisted" } else { "" };
    [format, spoken.as_str(), unlisted].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Describes a clash; empty if there is none.
fn in_words(clash: Option<&Clash>, config: &Config) -> String {
    match clash {
        Some(Clash::Overlap(title, until)) => {
            format!("Overlaps with “{title}”, which ends at {}", cinema::format(*until, &config.time_zone, "%H:%M"))
        }
        Some(Clash::Short(time, title)) => format!("Only {} min after “{title}”", time / MINUTE),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn screens_are_sorted_by_the_numbers_in_their_names() {
        let names = ["Screen 10", "Screen 2", "Blue", "Screen 1", "screen 3", "10", "9"];
        let screens = names.into_iter().enumerate().map(|(id, name)| (id as i64, name.to_owned())).collect();
        let sorted: Vec<String> = sorted(screens).into_iter().map(|(_, name)| name).collect();
        assert_eq!(sorted, ["9", "10", "Blue", "Screen 1", "Screen 2", "screen 3", "Screen 10"]);
    }
}
