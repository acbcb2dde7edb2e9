//! Fields of forms: rendering them as controls, parsing the posted text, and describing values in the log. A control
//! holds text, as browsers post it: no, one or several values for a field.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::guard::Page;
use super::query::objects::{self, Reader};
use super::urls::{change_url, names_url};
use super::values::split_list;
use super::words::choice_label;
use super::{Field, FieldAccess, FieldValue, FormValues, Kind, Model, Permission, Site};
use crate::db::Result;
use crate::error::ApiError;
use crate::money;
use crate::text;
use crate::time::cinema;

/// Longer texts have several lines.
const LINE_MAX: usize = 255;

/// Models with at most this many objects are offered as a list to choose from; others are searched.
const FEW: usize = 50;

/// Returns a value as the text of its control.
pub fn control_text(kind: &Kind, value: &FieldValue, zone: &TimeZone) -> Vec<String> {
    match (kind, value) {
        (Kind::YesNo, FieldValue::Int(0)) | (_, FieldValue::Null | FieldValue::Password { .. }) => Vec::new(),
        (Kind::Moment, FieldValue::Int(micros)) => vec![cinema::short(*micros, zone, "T")],
        (Kind::Percent, FieldValue::Int(rate)) => vec![money::write_rate(*rate)],
        (_, FieldValue::Int(number)) => vec![number.to_string()],
        (_, FieldValue::Text(text)) => vec![text.clone()],
        (_, FieldValue::Several(values)) => values.clone(),
    }
}

/// A parsed field.
#[derive(Debug)]
pub struct Parsed {
    pub value: FieldValue,
    /// A message for the user about the value.
    pub message: Option<String>,
}

/// Parses the posted value of a field. A value that was not edited stays as it is `stored`, even if it would not be
/// accepted today: a control can't hold the microseconds of a time, nor say which of two equal hours is meant.
///
/// # Errors
/// A message about the mistake.
pub fn parse(
    field: &Field,
    posted: &[String],
    stored: Option<&FieldValue>,
    zone: &TimeZone,
    site: &Site,
) -> Result<Parsed, String> {
    let text = posted.last().map_or("", |text| text.trim());
    let is_empty = match field.kind {
        Kind::YesNo => false,
        kind if kind.is_several() => split_list(posted).is_empty(),
        _ => text.is_empty(),
    };
    if let Some(stored) = stored
        && !matches!(field.kind, Kind::Password(_))
        && is_unchanged(&field.kind, &control_text(&field.kind, stored, zone), posted)
    {
        return Ok(stored.clone().into());
    }
    if let Kind::Text { longest } = field.kind {
        return parse_words(field, longest, text);
    }
    if posted.iter().any(|text| text.contains('\0')) {
        return Err("Null characters are not allowed.".into());
    }
    match (is_empty, field.required) {
        (true, true) => Err("This field is required.".into()),
        (true, false) => Ok(field.kind.empty().into()),
        _ if field.kind.is_several() => parse_several(&field.kind, posted, stored, site).map(Parsed::from),
        _ => parse_text(&field.kind, text, zone),
    }
}

impl From<FieldValue> for Parsed {
    fn from(value: FieldValue) -> Parsed {
        Parsed { value, message: None }
    }
}

/// Cleans a text, and checks it.
fn parse_words(field: &Field, longest: usize, text: &str) -> Result<Parsed, String> {
    let text = if longest > LINE_MAX { text::clean_lines(text) } else { text::clean(text) };
    let length = text.chars().count();
    if text.is_empty() && field.required {
        return Err("This field is required.".into());
    }
    if length > longest {
        return Err(format!("Enter at most {longest} characters; this has {length}."));
    }
    Ok(FieldValue::Text(text).into())
}

/// Parses a text that is not empty as a single value.
fn parse_text(kind: &Kind, text: &str, zone: &TimeZone) -> Result<Parsed, String> {
    Ok(match kind {
        Kind::Number { least, most } => {
            let number: i64 = text.parse().map_err(|_| "Enter a whole number.".to_owned())?;
            if number < *least || number > *most {
                return Err(format!("Enter a number from {least} to {most}."));
            }
            FieldValue::Int(number).into()
        }
        Kind::YesNo => FieldValue::Int(i64::from(!matches!(text, "" | "0"))).into(),
        Kind::Percent => {
            let rate = money::read_rate(text).ok_or("Enter a percentage from 0 to 100, such as 7 or 5.5.")?;
            FieldValue::Int(rate).into()
        }
        Kind::Offered(_) => FieldValue::Text(text.to_owned()).into(),
        Kind::Choice(choices) => {
            if !choices.iter().any(|(word, _)| *word == text) {
                return Err("Choose one of the options.".into());
            }
            FieldValue::Text(text.to_owned()).into()
        }
        Kind::Moment => {
            let (micros, message) = cinema::parse(text, zone)?;
            Parsed { value: FieldValue::Int(micros), message }
        }
        Kind::Day => {
            let day: Date = text.parse().map_err(|_| "Enter a date as year-month-day, like 2026-11-23.".to_owned())?;
            FieldValue::Text(day.to_string()).into()
        }
        Kind::Related { .. } => {
            FieldValue::Int(text.parse().map_err(|_| "Choose one, or enter its number.".to_owned())?).into()
        }
        // Trimmed, because a login trims it, too.
        Kind::Password(_) => FieldValue::Password { plain: text.to_owned(), hash: String::new() }.into(),
        Kind::Text { .. } | Kind::Permissions | Kind::SeveralRelated { .. } | Kind::Made(_) => {
            return Err("This field is read-only.".into());
        }
    })
}

/// Parses several values. Values that are `stored` may stay, even if they are no longer offered.
fn parse_several(
    kind: &Kind,
    posted: &[String],
    stored: Option<&FieldValue>,
    site: &Site,
) -> Result<FieldValue, String> {
    let values = split_list(posted);
    if let Kind::Permissions = kind {
        let offered: HashSet<String> = site.permissions().into_iter().collect();
        let is_stored = |value: &String| matches!(stored, Some(FieldValue::Several(stored)) if stored.contains(value));
        if values.iter().any(|value| !offered.contains(value) && !is_stored(value)) {
            return Err("Choose only from the options.".into());
        }
    } else if values.iter().any(|value| value.parse::<i64>().is_err()) {
        return Err("Choose some, or enter their numbers separated by commas.".into());
    }
    Ok(FieldValue::Several(values))
}

/// Checks whether the value of a control is unchanged. A browser posts nothing or an empty text for no value.
pub fn is_unchanged(kind: &Kind, was: &[String], posted: &[String]) -> bool {
    match kind {
        Kind::Permissions | Kind::SeveralRelated { .. } => split_list(was) == split_list(posted),
        _ => {
            let [was, posted] = [was, posted].map(|values| values.last().map_or("", String::as_str));
            was == posted || as_browsers_post(kind, was) == posted.replace("\r\n", "\n")
        }
    }
}

/// Returns what a browser posts for a value that nobody has edited: a line has no line breaks, and no page has NUL.
fn as_browsers_post(kind: &Kind, was: &str) -> String {
    let was = was.replace('\0', "\u{fffd}").replace("\r\n", "\n");
    match kind {
        Kind::Text { longest } if *longest > LINE_MAX => was.replace('\r', "\n"),
        _ => was.replace(['\n', '\r'], ""),
    }
}

/// Hashes the passwords among these values of fields. That is slow, so it happens before the transaction begins.
pub async fn hash_passwords(
    page: &Page,
    fields: impl IntoIterator<Item = &'static Field>,
    values: &mut FormValues,
) -> Result<(), ApiError> {
    for field in fields {
        if let Kind::Password(hash_password) = field.kind
            && let Some(FieldValue::Password { plain, hash }) = values.fields.get_mut(field.name)
        {
            *hash = hash_password(&page.app, plain.clone(), &page.client).await?;
        }
    }
    Ok(())
}

/// Display names of the objects that fields refer to, and the objects of small models to choose from.
#[derive(Debug, Default)]
pub struct Names {
    of: HashMap<(&'static str, i64), String>,
    few: BTreeMap<&'static str, Vec<(i64, String)>>,
    /// The options of fields of [`Kind::Offered`], by the name of their control.
    offered: BTreeMap<String, Vec<(String, String)>>,
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
        let mut offering = Vec::new();
        for (field, values) in values {
            if let Kind::Offered(offers) = field.kind
                && !self.offered.contains_key(field.name)
            {
                offering.push((field.name, offers));
            }
            let (Kind::Related { model } | Kind::SeveralRelated { model }) = field.kind else { continue };
            let ids = split_list(values).into_iter().filter_map(|value| value.parse().ok());
            unknown.entry(model).or_default().extend(ids.filter(|&id| !self.of.contains_key(&(model, id))));
        }
        for (name, offers) in offering {
            let (Reader::Db(app) | Reader::Tx(app, _)) = &reader;
            self.offered.insert(name.to_owned(), offers(app, None).await?);
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

    /// Loads the options of a field of the object with this id, if they are read.
    pub async fn offer_options(&mut self, page: &Page, field: &Field, control: String, id: Option<i64>) -> Result<()> {
        if let Kind::Offered(offers) = field.kind {
            self.offered.insert(control, offers(&page.app, id).await?);
        }
        Ok(())
    }

    fn options(&self, control: &str) -> &[(String, String)] {
        self.offered.get(control).map_or(&[], Vec::as_slice)
    }

    pub fn name(&self, model: &'static str, id: i64) -> Option<&str> {
        self.of.get(&(model, id)).map(String::as_str)
    }
}

/// Returns a value as text for people.
pub fn describe(field: &'static Field, value: &FieldValue, names: &Names, zone: &TimeZone) -> String {
    let name = |model: &'static str, id: i64| names.name(model, id).map_or(format!("number {id}"), str::to_owned);
    match (&field.kind, value) {
        (_, FieldValue::Null | FieldValue::Password { .. }) => String::new(),
        (Kind::YesNo, FieldValue::Int(value)) => if *value == 0 { "no" } else { "yes" }.to_owned(),
        (Kind::Moment, FieldValue::Int(micros)) => cinema::short(*micros, zone, " "),
        (Kind::Related { model }, FieldValue::Int(id)) => name(model, *id),
        (Kind::Percent, FieldValue::Int(rate)) => format!("{}%", money::write_rate(*rate)),
        (_, FieldValue::Int(number)) => number.to_string(),
        (Kind::Choice(choices), FieldValue::Text(text)) => choice_label(choices, text.clone()),
        (Kind::Offered(_), FieldValue::Text(text)) => {
            let option = names.options(field.name).iter().find(|(value, _)| value == text);
            option.map_or_else(|| text.clone(), |(_, label)| label.clone())
        }
        (_, FieldValue::Text(text)) => text.clone(),
        (Kind::SeveralRelated { model }, FieldValue::Several(ids)) => {
            let named = ids.iter().map(|id| id.parse().map_or_else(|_| id.clone(), |id| name(model, id)));
            named.collect::<Vec<_>>().join(", ")
        }
        (_, FieldValue::Several(values)) => values.join(", "),
    }
}

/// A field of a form, as a template shows it.
#[derive(Debug)]
pub struct Control {
    /// Its name in the form, and its id in the page.
    pub name: String,
    pub label: &'static str,
    pub help: String,
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
    /// A percentage.
    Percent {
        value: String,
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
    /// `others` are stored permissions that no longer exist.
    Permissions {
        rows: Vec<PermissionRow>,
        others: Vec<String>,
    },
    Password,
}

/// The permissions on a model.
#[derive(Debug)]
pub struct PermissionRow {
    pub many: &'static str,
    /// In the order of [`Permission::ALL`]: whether it is chosen, and its key; none if the model has no such permission.
    pub cells: [Option<(bool, String)>; Permission::ALL.len()],
}

impl Control {
    /// Returns the ids for `aria-describedby`: those of the help and of the faults, if there are any.
    pub fn described_by(&self) -> String {
        let help = (!self.help.is_empty()).then(|| format!("{}-help", self.name));
        let faults = (!self.faults.is_empty()).then(|| format!("{}-faults", self.name));
        help.into_iter().chain(faults).collect::<Vec<_>>().join(" ")
    }
}

/// Returns the weekday of a control's date, to show beside it: browsers write dates in the order of their own language.
pub fn weekday(value: &str) -> String {
    let date = value.get(..10).and_then(|date| date.parse::<Date>().ok());
    date.map_or_else(String::new, |date| date.strftime("%A").to_string())
}

/// Returns the control of a field; without `edited` it is read-only.
pub async fn control(
    page: &Page,
    names: &Names,
    field: &'static Field,
    name: String,
    values: &[String],
    stored: Option<&FieldValue>,
    edited: bool,
) -> Result<Control> {
    let mut shape = match edited && !matches!(field.kind, Kind::Made(_)) {
        true => edited_shape(page, names, field, &name, values),
        false => read_only_shape(page, names, field, stored).await?,
    };
    // The browser must accept a stored value that would not be accepted today.
    let required = field.required && stored.is_none_or(|stored| !is_blank(stored));
    if let (Shape::Number { least, most, .. }, Some(FieldValue::Int(stored))) = (&mut shape, stored) {
        (*least, *most) = ((*least).min(*stored), (*most).max(*stored));
    }
    let zone = page.app.config.time_zone.iana_name().unwrap_or("UTC");
    let help = field.help.replace("{zone}", zone);
    Ok(Control { name, label: field.label, help, required, faults: Vec::new(), shape })
}

fn is_blank(value: &FieldValue) -> bool {
    match value {
        FieldValue::Null => true,
        FieldValue::Text(text) => text.is_empty(),
        FieldValue::Several(values) => values.is_empty(),
        FieldValue::Int(_) | FieldValue::Password { .. } => false,
    }
}

fn edited_shape(page: &Page, names: &Names, field: &'static Field, control: &str, values: &[String]) -> Shape {
    let value = values.last().cloned().unwrap_or_default();
    let or_nothing = !field.required || value.is_empty();
    let named = |few: &Vec<(i64, String)>| -> Vec<(String, String)> {
        few.iter().map(|(id, label)| (id.to_string(), label.clone())).collect()
    };
    match field.kind {
        Kind::Text { longest } if longest > LINE_MAX => Shape::Long { value, longest },
        Kind::Text { longest } => Shape::Text { value, longest },
        Kind::Number { least, most } => Shape::Number { value, least, most },
        Kind::YesNo => Shape::YesNo { on: !matches!(value.as_str(), "" | "0") },
        Kind::Choice(choices) => {
            let offered = choices.iter().map(|(word, label)| ((*word).to_owned(), (*label).to_owned()));
            Shape::Choice { options: options(offered, values, or_nothing) }
        }
        Kind::Percent => Shape::Percent { value },
        Kind::Offered(_) => {
            let mut options: Vec<_> =
                names.options(control).iter().map(|(one, label)| (one.clone(), label.clone(), *one == value)).collect();
            if !options.iter().any(|(.., is_chosen)| *is_chosen) {
                options.push((value.clone(), value, true));
            }
            Shape::Choice { options }
        }
        Kind::Moment => Shape::Moment { seconds: value.matches(':').count() > 1, value },
        Kind::Day => Shape::Day { value },
        Kind::Related { model } => match names.few.get(model) {
            Some(few) => Shape::Choice { options: options(named(few).into_iter(), values, or_nothing) },
            None => {
                let shown = value.parse().ok().and_then(|id| names.name(model, id)).unwrap_or_default();
                Shape::Related { shown: shown.to_owned(), names: lookup(page, model), value }
            }
        },
        Kind::Permissions => permissions_shape(page.site, split_list(values)),
        Kind::SeveralRelated { model } => match names.few.get(model) {
            Some(few) => {
                let options = options(named(few).into_iter(), values, false);
                Shape::Several { options, names: String::new(), more: false }
            }
            None => {
                let chosen = |value: &String| {
                    let name = value.parse().ok().and_then(|id| names.name(model, id));
                    (value.clone(), name.unwrap_or(value).to_owned(), true)
                };
                let options = split_list(values).iter().map(chosen).collect();
                Shape::Several { options, names: lookup(page, model), more: true }
            }
        },
        Kind::Password(_) => Shape::Password,
        Kind::Made(_) => Shape::Shown { text: value, url: String::new() },
    }
}

fn permissions_shape(site: &Site, mut chosen: Vec<String>) -> Shape {
    let mut take = |key: &str| {
        let before = chosen.len();
        chosen.retain(|one| one != key);
        chosen.len() < before
    };
    let row = |model: &'static Model| {
        let cell = |permission: Permission| {
            let key = permission.key(model);
            model.has(permission).then(|| (take(&key), key))
        };
        PermissionRow { many: model.many, cells: Permission::ALL.map(cell) }
    };
    let rows = site.models().map(row).collect();
    Shape::Permissions { rows, others: chosen }
}

/// Returns the options of a field, with chosen values that are no longer offered at the end.
fn options(
    offered: impl Iterator<Item = (String, String)>,
    chosen: &[String],
    or_nothing: bool,
) -> Vec<(String, String, bool)> {
    let chosen = split_list(chosen);
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

/// Returns the URL that searches names of a model, or an empty string if the user may not see its objects.
fn lookup(page: &Page, model: &str) -> String {
    page.site.model(model).filter(|model| page.staff.sees(model)).map_or(String::new(), names_url)
}

async fn read_only_shape(
    page: &Page,
    names: &Names,
    field: &'static Field,
    stored: Option<&FieldValue>,
) -> Result<Shape> {
    let value = stored.unwrap_or(&FieldValue::Null);
    let text = match (&field.kind, value) {
        (Kind::Made(make), FieldValue::Int(number)) => make(&page.app, *number).await?,
        (Kind::Moment, FieldValue::Int(micros)) => {
            let zone = &page.app.config.time_zone;
            format!("{} {}", cinema::format(*micros, zone, "%a"), cinema::short(*micros, zone, " "))
        }
        _ => describe(field, value, names, &page.app.config.time_zone),
    };
    let url = match (&field.kind, value) {
        (Kind::Related { model }, FieldValue::Int(id)) => {
            let seen = page.site.model(model).filter(|model| page.staff.sees(model));
            seen.map_or(String::new(), |model| change_url(model, *id))
        }
        _ => String::new(),
    };
    Ok(Shape::Shown { text, url })
}

#[cfg(test)]
mod tests;
