//! Fields of forms: rendering them as controls, parsing the posted text, and describing values in the log. A control
//! holds text, as browsers post it: no, one or several values for a field.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, civil};

use super::guard::Page;
use super::store::objects::{self, Reader};
use super::{Field, FieldAccess, Given, Kind, Site};
use crate::db::{DbError, Decode, Result, Value};

/// Models with at most this many objects are offered as a list to choose from; others are searched.
const FEW: usize = 50;

/// Converts a cell to a field's value.
pub fn given(kind: &Kind, cell: Value) -> Result<Given> {
    let wrong = |cell: Value| DbError::Other(format!("{cell:?} is not a value of a {kind:?}"));
    if cell == Value::Null {
        return Ok(match kind {
            Kind::Several(_) | Kind::SeveralRelated { .. } => Given::Several(Vec::new()),
            _ => Given::Null,
        });
    }
    Ok(match kind {
        Kind::Text { .. } | Kind::Day | Kind::Password => Given::Text(String::decode(cell).map_err(wrong)?),
        Kind::Choice(_) => match cell {
            Value::Int(number) => Given::Text(number.to_string()),
            cell => Given::Text(String::decode(cell).map_err(wrong)?),
        },
        Kind::Number { .. } | Kind::YesNo | Kind::Moment | Kind::Related { .. } | Kind::Made(_) => {
            Given::Int(i64::decode(cell).map_err(wrong)?)
        }
        Kind::Several(_) | Kind::SeveralRelated { .. } => {
            let mut values = list(&[String::decode(cell).map_err(wrong)?]);
            values.sort();
            Given::Several(values)
        }
    })
}

/// Returns the value of an empty field.
pub fn nothing(kind: &Kind) -> Given {
    match kind {
        Kind::Text { .. } | Kind::Choice(_) => Given::Text(String::new()),
        Kind::YesNo => Given::Int(0),
        Kind::Several(_) | Kind::SeveralRelated { .. } => Given::Several(Vec::new()),
        _ => Given::Null,
    }
}

/// Splits texts at commas, sorts the parts and removes duplicates.
fn list(texts: &[String]) -> Vec<String> {
    let parts = texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|part| !part.is_empty());
    let mut parts: Vec<String> = parts.map(str::to_owned).collect();
    parts.sort();
    parts.dedup();
    parts
}

/// Returns a value as the text of its control.
pub fn raw(kind: &Kind, given: &Given, zone: &TimeZone) -> Vec<String> {
    match (kind, given) {
        (Kind::YesNo, Given::Int(0)) | (_, Given::Null | Given::Password { .. }) => Vec::new(),
        (Kind::Moment, Given::Int(micros)) => vec![moment(*micros, zone, "T")],
        (_, Given::Int(number)) => vec![number.to_string()],
        (_, Given::Text(text)) => vec![text.clone()],
        (_, Given::Several(values)) => values.clone(),
    }
}

/// Returns a time in the cinema's time zone, with seconds only if they are not zero.
fn moment(micros: i64, zone: &TimeZone, between: &str) -> String {
    let moment = Timestamp::from_microsecond(micros).unwrap_or_default().to_zoned(zone.clone());
    let time = if moment.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
    moment.strftime(&format!("%Y-%m-%d{between}{time}")).to_string()
}

/// A parsed field.
#[derive(Debug)]
pub struct Read {
    pub given: Given,
    /// A message for the user about the value.
    pub note: Option<String>,
}

/// Parses the posted value of a field. A value that was not edited stays as it is `stored`: a control can't hold the
/// microseconds of a time, nor say which of two equal hours is meant.
///
/// # Errors
/// A message about the mistake.
pub fn read(
    field: &Field,
    posted: &[String],
    stored: Option<&Given>,
    zone: &TimeZone,
    site: &Site,
) -> Result<Read, String> {
    let text = posted.last().map_or("", |text| text.trim());
    let is_empty = match field.kind {
        Kind::YesNo => false,
        Kind::Several(_) | Kind::SeveralRelated { .. } => list(posted).is_empty(),
        _ => text.is_empty(),
    };
    if let Some(stored) = stored
        && !matches!(field.kind, Kind::Password)
        && is_unchanged(&field.kind, &raw(&field.kind, stored, zone), posted)
        && !(field.required && is_empty)
    {
        return Ok(Read { given: stored.clone(), note: None });
    }
    if posted.iter().any(|text| text.contains('\0')) {
        return Err("Null characters are not allowed.".into());
    }
    if is_empty {
        return if field.required {
            Err("This field is required.".into())
        } else {
            Ok(Read { given: nothing(&field.kind), note: None })
        };
    }
    let mut note = None;
    let given = match &field.kind {
        Kind::Text { longest } => {
            let text = text.replace("\r\n", "\n");
            let length = text.chars().count();
            if length > *longest {
                return Err(format!("Enter at most {longest} characters; this has {length}."));
            }
            Given::Text(text)
        }
        Kind::Number { least, most } => {
            let number: i64 = text.parse().map_err(|_| "Enter a whole number.".to_owned())?;
            if number < *least || number > *most {
                return Err(format!("Enter a number from {least} to {most}."));
            }
            Given::Int(number)
        }
        Kind::YesNo => Given::Int(i64::from(!matches!(text, "" | "0"))),
        Kind::Choice(choices) => {
            if !choices.iter().any(|(word, _)| *word == text) {
                return Err("Choose one of the options.".into());
            }
            Given::Text(text.to_owned())
        }
        Kind::Moment => {
            let (micros, twice) = read_moment(text, zone)?;
            note = twice;
            Given::Int(micros)
        }
        Kind::Day => {
            let day: civil::Date =
                text.parse().map_err(|_| "Enter a date as year-month-day, like 2026-11-23.".to_owned())?;
            Given::Text(day.to_string())
        }
        Kind::Related { .. } => Given::Int(text.parse().map_err(|_| "Choose one, or enter its number.".to_owned())?),
        Kind::Several(offered) => {
            let values = list(posted);
            let offered: HashSet<String> = offered(site).into_iter().map(|(value, _)| value).collect();
            let kept = |value: &String| matches!(stored, Some(Given::Several(stored)) if stored.contains(value));
            if values.iter().any(|value| !offered.contains(value) && !kept(value)) {
                return Err("Choose only from the options.".into());
            }
            Given::Several(values)
        }
        Kind::SeveralRelated { .. } => {
            let values = list(posted);
            if values.iter().any(|value| value.parse::<i64>().is_err()) {
                return Err("Choose some, or enter their numbers separated by commas.".into());
            }
            Given::Several(values)
        }
        // Trimmed, because a login trims it, too.
        Kind::Password => Given::Password { plain: text.to_owned(), hash: String::new() },
        Kind::Made(_) => return Err("This field is read-only.".into()),
    };
    Ok(Read { given, note })
}

/// Checks whether the value of a control is unchanged.
fn is_unchanged(kind: &Kind, was: &[String], posted: &[String]) -> bool {
    match kind {
        Kind::Several(_) | Kind::SeveralRelated { .. } => list(was) == list(posted),
        _ => {
            let [was, posted] = [was, posted].map(|values| values.last().map_or("", String::as_str));
            // Browsers post line breaks as CR and LF.
            was == posted || was == posted.replace("\r\n", "\n")
        }
    }
}

/// Parses a date and time in the cinema's time zone. Returns UTC microseconds, and a message if the time occurs twice.
///
/// # Errors
/// If it is not a date and time, or the clocks skip it.
fn read_moment(text: &str, zone: &TimeZone) -> Result<(i64, Option<String>), String> {
    let form = "Enter a date and a time, like 2026-11-23 19:30.";
    let text = text.replace('T', " ");
    let civil = DateTime::strptime("%Y-%m-%d %H:%M", &text)
        .or_else(|_| DateTime::strptime("%Y-%m-%d %H:%M:%S%.f", &text))
        .map_err(|_| form.to_owned())?;
    let ambiguous = zone.to_ambiguous_zoned(civil);
    let note = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => None,
        AmbiguousOffset::Gap { .. } => {
            return Err(format!(
                "{} does not exist, because the clocks go forward then. Choose an earlier or a later time.",
                civil.strftime("%Y-%m-%d %H:%M")
            ));
        }
        AmbiguousOffset::Fold { .. } => Some(format!(
            "{} occurs twice, because the clocks go back then. The earlier one was used.",
            civil.strftime("%Y-%m-%d %H:%M")
        )),
    };
    let moment = ambiguous.earlier().map_err(|_| form.to_owned())?;
    Ok((moment.timestamp().as_microsecond(), note))
}

/// Display names of the objects that fields refer to, and the objects of small models to choose from.
#[derive(Debug, Default)]
pub struct Names {
    of: HashMap<(&'static str, i64), String>,
    few: BTreeMap<&'static str, Vec<(i64, String)>>,
}

impl Names {
    /// Loads the names of all objects that these values refer to, unless they are known.
    pub async fn learn<'v>(
        &mut self,
        mut reader: Reader<'_>,
        site: &Site,
        values: impl IntoIterator<Item = (&'static Field, &'v [String])>,
    ) -> Result<()> {
        let mut unknown: BTreeMap<&'static str, Vec<i64>> = BTreeMap::new();
        for (field, values) in values {
            let (Kind::Related { model } | Kind::SeveralRelated { model }) = field.kind else { continue };
            let ids = list(values).into_iter().filter_map(|value| value.parse().ok());
            unknown.entry(model).or_default().extend(ids.filter(|&id| !self.of.contains_key(&(model, id))));
        }
        for (name, mut ids) in unknown {
            ids.sort_unstable();
            ids.dedup();
            if let Some(model) = site.model(name) {
                let found = objects::labels(&mut reader, model, &ids).await?;
                self.of.extend(found.into_iter().map(|(id, label)| ((model.name, id), label)));
            }
        }
        Ok(())
    }

    /// Loads the objects to choose from for these fields, if a model has only few and the user may see them.
    pub async fn offer(&mut self, page: &Page, fields: impl IntoIterator<Item = &'static Field>) -> Result<()> {
        for field in fields {
            let (Kind::Related { model } | Kind::SeveralRelated { model }) = field.kind else { continue };
            if let Some(model) = page.site.model(model)
                && field.access != FieldAccess::Shown
                && !self.few.contains_key(model.name)
                && page.staff.sees(model)
                && let Some(few) = objects::few(&page.app, model, FEW).await?
            {
                self.few.insert(model.name, few);
            }
        }
        Ok(())
    }

    pub fn name(&self, model: &'static str, id: i64) -> Option<&str> {
        self.of.get(&(model, id)).map(String::as_str)
    }
}

/// Returns a value as text for people.
pub fn told(field: &'static Field, given: &Given, names: &Names, zone: &TimeZone) -> String {
    let name = |model: &'static str, id: i64| names.name(model, id).map_or(format!("number {id}"), str::to_owned);
    match (&field.kind, given) {
        (_, Given::Null | Given::Password { .. }) => String::new(),
        (Kind::YesNo, Given::Int(value)) => if *value == 0 { "no" } else { "yes" }.to_owned(),
        (Kind::Moment, Given::Int(micros)) => moment(*micros, zone, " "),
        (Kind::Related { model }, Given::Int(id)) => name(model, *id),
        (_, Given::Int(number)) => number.to_string(),
        (Kind::Choice(choices), Given::Text(text)) => {
            choices.iter().find(|(word, _)| word == text).map_or(text.as_str(), |(_, label)| label).to_owned()
        }
        (_, Given::Text(text)) => text.clone(),
        (Kind::SeveralRelated { model }, Given::Several(ids)) => {
            let named = ids.iter().map(|id| id.parse().map_or_else(|_| id.clone(), |id| name(model, id)));
            named.collect::<Vec<_>>().join(", ")
        }
        (_, Given::Several(values)) => values.join(", "),
    }
}

/// A field of a form, as a template shows it.
#[derive(Debug)]
pub struct Control {
    /// Its name in the form, and its id in the page.
    pub name: String,
    pub label: &'static str,
    pub help: &'static str,
    pub required: bool,
    pub faults: Vec<String>,
    pub shape: Shape,
}

#[derive(Debug)]
pub enum Shape {
    /// Read-only text. `url` leads to the object that it names, if any.
    Shown {
        text: String,
        url: String,
    },
    Text {
        value: String,
        longest: usize,
    },
    Long {
        value: String,
        longest: usize,
    },
    Number {
        value: String,
        least: i64,
        most: i64,
    },
    YesNo {
        on: bool,
    },
    /// For each option: value, text, and whether it is chosen.
    Choice {
        options: Vec<(String, String, bool)>,
    },
    Moment {
        value: String,
        seconds: bool,
    },
    Day {
        value: String,
    },
    /// An id and the object's name. `names` is the URL to search names, empty if the user may not see them.
    Related {
        value: String,
        shown: String,
        names: String,
    },
    /// For each option: value, text, and whether it is chosen. `names` is the URL to search more, empty if these are
    /// all.
    Several {
        options: Vec<(String, String, bool)>,
        names: String,
        more: bool,
    },
    Password,
}

impl Control {
    /// Returns the ids for `aria-describedby`: those of the help and of the faults, if there are any.
    pub fn described_by(&self) -> String {
        let help = (!self.help.is_empty()).then(|| format!("{}-help", self.name));
        let faults = (!self.faults.is_empty()).then(|| format!("{}-faults", self.name));
        help.into_iter().chain(faults).collect::<Vec<_>>().join(" ")
    }
}

/// Returns the control of a field; without `edited` it is read-only.
pub async fn control(
    page: &Page,
    names: &Names,
    field: &'static Field,
    name: String,
    values: &[String],
    stored: Option<&Given>,
    edited: bool,
) -> Result<Control> {
    let zone = &page.app.config.time_zone;
    let value = values.last().cloned().unwrap_or_default();
    let shape = if edited {
        match field.kind {
            Kind::Text { longest } if longest > 255 => Shape::Long { value, longest },
            Kind::Text { longest } => Shape::Text { value, longest },
            Kind::Number { least, most } => Shape::Number { value, least, most },
            Kind::YesNo => Shape::YesNo { on: !matches!(value.as_str(), "" | "0") },
            Kind::Choice(choices) => {
                let offered = choices.iter().map(|(word, label)| ((*word).to_owned(), (*label).to_owned()));
                Shape::Choice { options: options(offered, values, !field.required || value.is_empty()) }
            }
            Kind::Moment => Shape::Moment { seconds: value.matches(':').count() > 1, value },
            Kind::Day => Shape::Day { value },
            Kind::Related { model } => match names.few.get(model) {
                Some(few) => {
                    let offered = few.iter().map(|(id, label)| (id.to_string(), label.clone()));
                    Shape::Choice { options: options(offered, values, !field.required || value.is_empty()) }
                }
                None => {
                    let shown = value.parse().ok().and_then(|id| names.name(model, id)).unwrap_or_default();
                    Shape::Related { shown: shown.to_owned(), names: lookup(page, model), value }
                }
            },
            Kind::Several(offered) => {
                let options = options(offered(page.site).into_iter(), values, false);
                Shape::Several { options, names: String::new(), more: false }
            }
            Kind::SeveralRelated { model } => match names.few.get(model) {
                Some(few) => {
                    let offered = few.iter().map(|(id, label)| (id.to_string(), label.clone()));
                    Shape::Several { options: options(offered, values, false), names: String::new(), more: false }
                }
                None => {
                    let named = |value: &String| {
                        let name = value.parse().ok().and_then(|id| names.name(model, id));
                        (value.clone(), name.unwrap_or(value).to_owned(), true)
                    };
                    let options = list(values).iter().map(named).collect();
                    Shape::Several { options, names: lookup(page, model), more: true }
                }
            },
            Kind::Password => Shape::Password,
            Kind::Made(_) => shown(page, names, field, stored, zone).await?,
        }
    } else {
        shown(page, names, field, stored, zone).await?
    };
    Ok(Control { name, label: field.label, help: field.help, required: field.required, faults: Vec::new(), shape })
}

/// Returns the options of a field, with chosen values that are no longer offered at the end.
fn options(
    offered: impl Iterator<Item = (String, String)>,
    chosen: &[String],
    or_nothing: bool,
) -> Vec<(String, String, bool)> {
    let chosen = list(chosen);
    let nothing = or_nothing.then(|| (String::new(), "—".to_owned(), chosen.is_empty()));
    let mut options: Vec<_> = nothing.into_iter().collect();
    options.extend(offered.map(|(value, label)| {
        let is_chosen = chosen.contains(&value);
        (value, label, is_chosen)
    }));
    for value in chosen {
        if !options.iter().any(|(offered, ..)| *offered == value) {
            options.push((value.clone(), value, true));
        }
    }
    options
}

fn lookup(page: &Page, model: &str) -> String {
    match page.site.model(model) {
        Some(model) if page.staff.sees(model) => format!("/admin/{}/names/", model.name),
        _ => String::new(),
    }
}

async fn shown(
    page: &Page,
    names: &Names,
    field: &'static Field,
    stored: Option<&Given>,
    zone: &TimeZone,
) -> Result<Shape> {
    let given = stored.unwrap_or(&Given::Null);
    let text = match (&field.kind, given) {
        (Kind::Made(make), Given::Int(number)) => make(&page.app, *number).await?,
        _ => told(field, given, names, zone),
    };
    let url = match (&field.kind, given) {
        (Kind::Related { model }, Given::Int(id)) => url_of(page, model, *id),
        _ => String::new(),
    };
    Ok(Shape::Shown { text, url })
}

/// Returns the URL of an object's page, or an empty string if the user may not see the object.
fn url_of(page: &Page, model: &str, id: i64) -> String {
    let seen = page.site.model(model).filter(|model| page.staff.sees(model));
    seen.map_or(String::new(), |model| format!("/admin/{}/{id}/change/", model.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    static STARTS: Field =
        Field { name: "starts", label: "Starts", sql: "t.starts", kind: Kind::Moment, ..Field::PLAIN };

    static SITE: Site = Site { title: "", groups: &[], board: |_, _| Box::pin(async { Ok(String::new()) }) };

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    fn read_text(field: &Field, text: &str, stored: Option<&Given>) -> Result<Given, String> {
        read(field, &[text.to_owned()], stored, &berlin(), &SITE).map(|read| read.given)
    }

    #[test]
    fn times_are_read_in_the_cinemas_time_zone() {
        let micros = |text: &str| Given::Int(crate::time::clock::parse(text).unwrap());
        assert_eq!(read_text(&STARTS, "2026-11-23T19:30", None), Ok(micros("2026-11-23T18:30:00Z")));
        assert_eq!(read_text(&STARTS, "2026-07-23 19:30:15", None), Ok(micros("2026-07-23T17:30:15Z")));
        for wrong in ["", "2026-11-23", "19:30", "23.11.2026 19:30", "2026-02-30T10:00", "2026-11-23T24:30"] {
            assert!(read_text(&STARTS, wrong, None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn skipped_hour_is_refused() {
        let refused = read_text(&STARTS, "2026-03-29T02:30", None).unwrap_err();
        assert!(refused.contains("does not exist"), "{refused}");
    }

    #[test]
    fn earlier_of_two_equal_hours_is_used() {
        let read = read(&STARTS, &["2026-10-25T02:30".into()], None, &berlin(), &SITE).unwrap();
        assert_eq!(read.given, Given::Int(crate::time::clock::parse("2026-10-25T00:30:00Z").unwrap()));
        assert!(read.note.unwrap().contains("twice"));
    }

    #[test]
    fn unedited_time_keeps_its_microseconds() {
        for stored in ["2026-11-23T18:30:00.123456Z", "2026-11-23T18:30:07.5Z", "2026-10-25T01:30:00Z"] {
            let stored = Given::Int(crate::time::clock::parse(stored).unwrap());
            let posted = raw(&STARTS.kind, &stored, &berlin());
            let read = read(&STARTS, &posted, Some(&stored), &berlin(), &SITE).unwrap();
            assert_eq!((read.given, read.note), (stored, None));
        }
    }

    #[test]
    fn texts_are_trimmed_and_measured_in_characters() {
        let field = Field { kind: Kind::Text { longest: 3 }, ..Field::PLAIN };
        assert_eq!(read_text(&field, "  äöü ", None), Ok(Given::Text("äöü".into())));
        assert!(read_text(&field, "äöüß", None).is_err());
        assert!(read_text(&field, "a\0", None).is_err());
        assert!(read_text(&field, "  ", None).is_err(), "it is required");
        assert_eq!(read_text(&Field { required: false, ..field }, " ", None), Ok(Given::Text(String::new())));
    }

    #[test]
    fn numbers_have_limits() {
        let field = Field { kind: Kind::Number { least: 1, most: 9 }, ..Field::PLAIN };
        assert_eq!(read_text(&field, " 9 ", None), Ok(Given::Int(9)));
        for wrong in ["0", "10", "1.5", "x", "99999999999999999999"] {
            assert!(read_text(&field, wrong, None).is_err(), "{wrong}");
        }
    }
}
