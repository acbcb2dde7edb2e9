//! A film week: screens by days, each show in a line of text, and a strip that shows how full the day is.

use std::collections::HashMap;

use askama::Template;
use axum::response::Response;
use jiff::ToSpan;
use jiff::civil::Date;

use super::layout::{self, Axis, Extent};
use super::store::ShowTimes;
use super::{Chosen, Navigation, in_words, version};
use crate::admin::guard::Page;
use crate::admin::render::Frame;
use crate::time::{cinema, clock};
use crate::web::html::page::html;

#[derive(Template)]
#[template(path = "admin/timetable_week.html")]
struct WeekPage<'a> {
    frame: Frame,
    navigation: Navigation,
    /// Text and URL.
    days: Vec<(String, String)>,
    screens: Vec<ScreenWeek<'a>>,
    printed_at: String,
}

struct ScreenWeek<'a> {
    name: &'a str,
    days: Vec<Vec<WeekShow<'a>>>,
}

struct WeekShow<'a> {
    show: &'a ShowTimes,
    begins: String,
    feature_at: String,
    until: String,
    version: String,
    clash: String,
    feature: Extent,
    whole: Extent,
}

pub(super) fn page(
    page: &Page,
    navigation: Navigation,
    first: Date,
    screens: &[(i64, String)],
    by_screen: &HashMap<i64, Vec<&ShowTimes>>,
) -> Response {
    let config = &page.app.config;
    let dates: Vec<Date> = (0..7).map(|place| first.saturating_add(place.days())).collect();
    let axes: Vec<Axis> = dates
        .iter()
        .map(|date| config.business_days().bounds(*date))
        .map(|(from, until)| Axis { from, until })
        .collect();
    let text = |micros: i64| cinema::format(micros, &config.time_zone, "%H:%M");
    let none = Vec::new();
    let screens = screens.iter().map(|(id, name)| {
        let shows = by_screen.get(id).unwrap_or(&none);
        let clashes = layout::clashes(shows, config.turnaround);
        let mut days: Vec<Vec<WeekShow>> = dates.iter().map(|_| Vec::new()).collect();
        for (show, clash) in shows.iter().zip(clashes) {
            // A show that began before the week is in the week before.
            let Some(day) = axes.iter().position(|axis| axis.from <= show.begins && show.begins < axis.until) else {
                continue;
            };
            days[day].push(WeekShow {
                show,
                begins: text(show.begins),
                feature_at: text(show.feature_at),
                until: text(show.until),
                version: version(show),
                clash: in_words(clash.as_ref(), config),
                feature: axes[day].extent(show.feature_at, show.until),
                whole: axes[day].extent(show.begins, show.until + config.turnaround),
            });
        }
        ScreenWeek { name, days }
    });
    let day = |date: &Date| {
        let chosen = Chosen { day: *date, is_week: false, ..navigation.chosen };
        (date.strftime("%a, %-d %b").to_string(), chosen.url())
    };
    html(&WeekPage {
        frame: page.frame(None, vec![(super::LINK.label.to_owned(), String::new())]),
        days: dates.iter().map(day).collect(),
        screens: screens.collect(),
        printed_at: cinema::weekday_minute(clock::now(), &config.time_zone),
        navigation,
    })
}
