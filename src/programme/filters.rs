//! The query of the list of shows.

use std::borrow::Cow;

use jiff::civil::Date;

use super::store::{ListedShow, Listing, ShowFacts};
use crate::error::{ApiError, FieldFaults};
use crate::time::cinema::BusinessDays;
use crate::time::clock;
use crate::web::pages::{cursor, read_cursor, read_limit};

/// The parameters of the list of shows.
pub const PARAMETERS: &[&str] = &[
    "business_day",
    "begins_from",
    "begins_before",
    "movie",
    "screen",
    "video_format",
    "language",
    "label",
    "min_free",
    "cursor",
    "limit",
];

/// The number of shows on a page by default.
const PAGE: usize = 50;

/// The most characters of a format, a language or a label; none is longer.
const TEXT_MAX: usize = 60;

/// Which shows are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    business_day: Option<Date>,
    /// In UTC microseconds: the first time at which a show may begin, and the first at which it may not.
    from: Option<i64>,
    to: Option<i64>,
    pub movie: Option<i64>,
    pub screen: Option<i64>,
    /// These texts have small letters only.
    video_format: Option<String>,
    language: Option<String>,
    label: Option<String>,
    min_free: Option<i64>,
    /// The page follows the show with this time and id.
    cursor: Option<(i64, i64)>,
    pub limit: usize,
}

impl Query {
    /// Reads the query of a request, whose parameters the endpoint has checked by their names.
    ///
    /// # Errors
    /// [`ApiError::Fields`] with the parameters that are invalid.
    pub fn parse(query: &str) -> Result<Query, ApiError> {
        let mut wanted = Query {
            business_day: None,
            from: None,
            to: None,
            movie: None,
            screen: None,
            video_format: None,
            language: None,
            label: None,
            min_free: None,
            cursor: None,
            limit: PAGE,
        };
        let mut faults = FieldFaults::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if let Err(fault) = wanted.put(&name, &value) {
                faults.push((Cow::Owned(name.into_owned()), vec![fault]));
            }
        }
        if let (Some(from), Some(to)) = (wanted.from, wanted.to)
            && to <= from
        {
            faults.push(("begins_before".into(), vec!["Must be later than \"begins_from\".".to_owned()]));
        }
        if faults.is_empty() { Ok(wanted) } else { Err(ApiError::Fields(faults)) }
    }

    /// Reads a parameter.
    ///
    /// # Errors
    /// A message if its value is invalid.
    fn put(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "business_day" => self.business_day = Some(day(value)?),
            "begins_from" => self.from = Some(time(value)?),
            "begins_before" => self.to = Some(time(value)?),
            "movie" => self.movie = Some(number(value, 1)?),
            "screen" => self.screen = Some(number(value, 1)?),
            "video_format" => self.video_format = Some(text(value)?),
            "language" => self.language = Some(language(value)?),
            "label" => self.label = Some(text(value)?),
            "min_free" => self.min_free = Some(number(value, 0)?),
            "cursor" => self.cursor = Some(read_cursor(value)?),
            "limit" => self.limit = read_limit(value)?,
            // Only `format` is left, which is the format of the reply.
            _ => {}
        }
        Ok(())
    }

    /// Returns the query as text, always in the same form, for a page that follows this show.
    fn text(&self, after: Option<(i64, i64)>) -> String {
        let mut text = form_urlencoded::Serializer::new(String::new());
        let mut put = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                text.append_pair(name, &value);
            }
        };
        put("business_day", self.business_day.map(|day| day.to_string()));
        put("begins_from", self.from.map(clock::iso));
        put("begins_before", self.to.map(clock::iso));
        put("movie", self.movie.map(|id| id.to_string()));
        put("screen", self.screen.map(|id| id.to_string()));
        put("video_format", self.video_format.clone());
        put("language", self.language.clone());
        put("label", self.label.clone());
        put("min_free", self.min_free.map(|seats| seats.to_string()));
        put("cursor", after.map(|(at, id)| cursor(at, id)));
        put("limit", Some(self.limit.to_string()));
        text.finish()
    }

    /// Returns the query as text, by which its page is remembered.
    pub fn key(&self) -> String {
        self.text(self.cursor)
    }

    /// Returns the path of the page that follows this show.
    pub fn path_after(&self, place: (i64, i64)) -> String {
        format!("/api/shows/?{}", self.text(Some(place)))
    }

    /// Returns the time and id that the shows follow, and the time before which they begin. Without a day and a first
    /// time, only shows that have not begun are wanted.
    pub fn bounds(&self, listing: &Listing, days: &BusinessDays) -> ((i64, i64), i64) {
        let (mut first, mut until) = (self.from, self.to.unwrap_or(i64::MAX));
        if let Some((begins, ends)) = self.business_day.map(|day| days.bounds(day)) {
            first = Some(first.map_or(begins, |first| first.max(begins)));
            until = until.min(ends);
        }
        let after = (first.map_or(listing.now, |first| first.saturating_sub(1)), i64::MAX);
        (self.cursor.map_or(after, |cursor| cursor.max(after)), until)
    }

    /// Checks whether a show is wanted, apart from its time and its seats.
    pub fn matches(&self, facts: &ShowFacts) -> bool {
        let is = |wanted: &Option<i64>, id: i64| wanted.is_none_or(|wanted| wanted == id);
        let is_text = |wanted: &Option<String>, matches: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(matches);
        facts.is_listed()
            && is(&self.movie, facts.movie_id)
            && is(&self.screen, facts.screen_id)
            && is_text(&self.video_format, &|wanted| facts.format.to_lowercase() == wanted)
            && is_text(&self.language, &|wanted| is_in_range(&facts.language, wanted))
            && is_text(&self.label, &|wanted| {
                super::listed(&facts.labels).iter().any(|one| one.to_lowercase() == wanted)
            })
    }

    /// Checks whether a show is wanted, apart from its time.
    pub fn wants(&self, show: &ListedShow) -> bool {
        self.min_free.is_none_or(|seats| show.seats.free >= seats) && self.matches(&show.facts)
    }
}

/// Checks whether a language tag belongs to a language range: "pt" has "pt" and "pt-BR" (RFC 4647, 3.3.1).
fn is_in_range(tag: &str, range: &str) -> bool {
    let Some((head, rest)) = tag.split_at_checked(range.len()) else { return false };
    head.eq_ignore_ascii_case(range) && (rest.is_empty() || rest.starts_with('-'))
}

fn day(text: &str) -> Result<Date, String> {
    // Years before 0 have more digits.
    let day = Date::strptime("%Y-%m-%d", text).ok().filter(|day| day.year() >= 0);
    day.ok_or_else(|| "Enter a date such as 2035-06-01.".to_owned())
}

fn time(text: &str) -> Result<i64, String> {
    let fault = "Enter a time with its offset, such as 2035-06-01T18:30:00Z. In a URL, a plus sign is %2B.";
    // The next page must be able to name it.
    let is_written_back = |micros: &i64| clock::parse(&clock::iso(*micros)) == Some(*micros);
    clock::parse(text).filter(is_written_back).ok_or_else(|| fault.to_owned())
}

fn number(text: &str, least: i64) -> Result<i64, String> {
    match text.parse() {
        Err(_) => Err("A valid integer is required.".to_owned()),
        Ok(number) if number < least => Err(format!("Ensure this value is greater than or equal to {least}.")),
        Ok(number) => Ok(number),
    }
}

fn text(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("This field may not be blank.".to_owned()),
        text if text.chars().count() > TEXT_MAX => {
            Err(format!("Ensure this field has no more than {TEXT_MAX} characters."))
        }
        text => Ok(text.to_lowercase()),
    }
}

fn language(value: &str) -> Result<String, String> {
    let text = text(value)?;
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match text.split('-').all(is_part) {
        true => Ok(text),
        false => Err("Enter a language tag such as en or pt-BR.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_one_form() {
        let long = "limit=7&label=OmU&min_free=2&video_format=IMAX&language=pt-BR&screen=2&movie=1&begins_before=2035-06-03T00:00:00Z\
                    &begins_from=2035-06-01T02:00:00%2B02:00&business_day=2035-06-01&cursor=MS4y";
        let text = Query::parse(long).unwrap().key();
        assert_eq!(
            text,
            "business_day=2035-06-01&begins_from=2035-06-01T00%3A00%3A00Z&begins_before=2035-06-03T00%3A00%3A00Z&movie=1&screen=2\
             &video_format=imax&language=pt-br&label=omu&min_free=2&cursor=MS4y&limit=7"
        );
        assert_eq!(Query::parse(&text).unwrap().key(), text);
        assert_eq!(Query::parse(&text).unwrap(), Query::parse(long).unwrap());
        assert_eq!(Query::parse("").unwrap().key(), "limit=50");
    }

    #[test]
    fn every_fault_is_named() {
        for (query, field) in [
            ("business_day=tomorrow", "business_day"),
            ("business_day=2035-02-30", "business_day"),
            ("business_day=", "business_day"),
            ("business_day=-9999-01-01", "business_day"),
            ("begins_from=-009999-01-02T01:59:59Z", "begins_from"),
            ("begins_from=2035-06-01", "begins_from"),
            ("begins_from=2035-06-01T18:30:00+02:00", "begins_from"),
            ("begins_before=now", "begins_before"),
            ("begins_from=2035-06-02T00:00:00Z&begins_before=2035-06-01T00:00:00Z", "begins_before"),
            ("movie=x", "movie"),
            ("movie=0", "movie"),
            ("movie=99999999999999999999", "movie"),
            ("screen=-1", "screen"),
            ("video_format=", "video_format"),
            ("label=%20", "label"),
            ("language=en_US", "language"),
            ("language=-", "language"),
            ("min_free=-1", "min_free"),
            ("min_free=many", "min_free"),
            ("cursor=x", "cursor"),
            ("limit=0", "limit"),
            ("limit=101", "limit"),
        ] {
            match Query::parse(query) {
                Err(ApiError::Fields(faults)) => {
                    assert_eq!((faults.len(), faults[0].0.as_ref()), (1, field), "{query}")
                }
                other => panic!("{query}: {other:?}"),
            }
        }
        let long = format!("label={}", "x".repeat(TEXT_MAX + 1));
        assert!(Query::parse(&long).is_err());
        let Err(ApiError::Fields(faults)) = Query::parse("movie=x&limit=x") else { panic!("no faults") };
        assert_eq!(faults.len(), 2);
    }

    #[test]
    fn languages_are_found_by_range() {
        for (tag, range, is_in) in [
            ("en", "en", true),
            ("EN-gb", "en", true),
            ("en", "en-gb", false),
            ("eng", "en", false),
            ("", "en", false),
            ("zh-Hant-TW", "zh-hant", true),
        ] {
            assert_eq!(is_in_range(tag, range), is_in, "{tag} {range}");
        }
    }
}
