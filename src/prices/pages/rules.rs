//! The rules that choose the price cards of shows. All of them are in one form; what they would change is shown before
//! they are saved.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::TRIES;
use crate::admin::guard::{Of, Page};
use crate::admin::query::{log, once};
use crate::admin::render::Frame;
use crate::admin::words::count_text;
use crate::admin::{FieldChange, Kind, Permission, Site};
use crate::db::{DbError, Result as DbResult, Tx};
use crate::error::ApiError;
use crate::prices::admin::{PRICE_RULES, RULES_URL};
use crate::prices::rules::{Rule, WEEKDAYS, read_date, read_time, write_time};
use crate::prices::store::{self, Card, ShowChange};
use crate::time::cinema;
use crate::web::html::flash::{Message, see_other};
use crate::web::html::forms::Posted;
use crate::web::html::page::html;

/// The most rules.
const RULES_MAX: usize = 100;

/// The most shows of an outcome that are listed.
const LISTED_MAX: usize = 50;

/// The model of shows, whose form has the formats.
const SHOWS: &str = "shows";

#[derive(Template)]
#[template(path = "admin/price_rules.html")]
struct RulesPage<'a> {
    frame: Frame,
    url: &'static str,
    is_editable: bool,
    sees_shows: bool,
    form: &'a Form,
    once: String,
    weekdays: [&'static str; 7],
    cards: Vec<Card>,
    formats: &'static [(&'static str, &'static str)],
    outcome: Option<ShownOutcome>,
}

/// What the form holds.
struct Form {
    lines: Vec<Line>,
    /// The hash of the stored rules that the user began with.
    loaded: String,
    /// The hash of the rules whose outcome the page shows; empty if it shows none.
    shown: String,
    /// The texts of faults, each with the id of its field.
    faults: Vec<(String, String)>,
    /// Someone else has changed the rules since the user began.
    is_stale: bool,
    /// Whether the rules are the stored ones.
    is_stored: bool,
}

/// A rule as its fields have it.
#[derive(Debug, Clone, Default)]
struct Line {
    id: i64,
    card: String,
    weekdays: Vec<String>,
    from_time: String,
    until_time: String,
    from_date: String,
    until_date: String,
    format: String,
    /// The names of the fields with faults.
    wrong: Vec<&'static str>,
}

impl Line {
    fn of(rule: &Rule) -> Line {
        let time = |time: Option<i64>| time.map_or_else(String::new, write_time);
        Line {
            id: rule.id,
            card: if rule.card_id == 0 { String::new() } else { rule.card_id.to_string() },
            weekdays: rule.weekdays.chars().map(String::from).collect(),
            from_time: time(rule.from_time),
            until_time: time(rule.until_time),
            from_date: rule.from_date.clone(),
            until_date: rule.until_date.clone(),
            format: rule.format.clone(),
            wrong: Vec::new(),
        }
    }

    fn has_day(&self, place: &usize) -> bool {
        self.weekdays.contains(&(place + 1).to_string())
    }

    fn is_wrong(&self, field: &str) -> bool {
        self.wrong.contains(&field)
    }

    fn has_card(&self, id: &i64) -> bool {
        self.card == id.to_string()
    }

    fn has_format(&self, format: &str) -> bool {
        self.format == format
    }
}

impl Form {
    fn new(lines: Vec<Line>, loaded: String) -> Form {
        Form { lines, loaded, shown: String::new(), faults: Vec::new(), is_stale: false, is_stored: false }
    }

    fn read(posted: &Posted) -> Form {
        let count = posted.text("_rules").parse().unwrap_or(0).min(RULES_MAX);
        let line = |place: usize| {
            let name = |field: &str| format!("rule-{place}-{field}");
            let text = |field: &str| posted.text(&name(field)).trim().to_owned();
            Line {
                id: text("id").parse().unwrap_or_default(),
                card: text("card"),
                weekdays: posted.all(&name("weekdays")),
                from_time: text("from_time"),
                until_time: text("until_time"),
                from_date: text("from_date"),
                until_date: text("until_date"),
                format: text("format"),
                wrong: Vec::new(),
            }
        };
        Form::new((0..count).map(line).collect(), posted.text("_loaded").to_owned())
    }

    /// Returns the rules, and notes the faults of their fields. `formats` are the ones to choose from.
    fn rules(&mut self, page: &Page, cards: &[Card], formats: &[(&str, &str)]) -> Vec<Rule> {
        let days = page.app.config.business_days();
        let mut rules = Vec::new();
        for (place, line) in self.lines.iter_mut().enumerate() {
            let (rule, mut faults) = read_line(line, cards, formats);
            if faults.is_empty() {
                faults = rule.faults(&days);
            }
            line.wrong = faults.iter().map(|(field, _)| *field).collect();
            self.faults.extend(
                faults
                    .into_iter()
                    .map(|(field, text)| (format!("Rule {}: {text}", place + 1), format!("rule-{place}-{field}"))),
            );
            rules.push(rule);
        }
        rules
    }
}

/// Reads the fields of a rule, and names those that are wrong.
fn read_line(line: &Line, cards: &[Card], formats: &[(&str, &str)]) -> (Rule, Vec<(&'static str, String)>) {
    let mut faults = Vec::new();
    let card = cards.iter().find(|card| line.has_card(&card.id));
    if card.is_none() {
        faults.push(("card", "Choose a price card.".to_owned()));
    }
    let mut time = |field, text: &str| {
        let read = read_time(text);
        if read.is_none() && !text.is_empty() {
            faults.push((field, "Enter a time, such as 17:00.".to_owned()));
        }
        read
    };
    let (from_time, until_time) = (time("from_time", &line.from_time), time("until_time", &line.until_time));
    let mut date = |field, text: &str| {
        let read = read_date(text);
        if read.is_none() && !text.is_empty() {
            faults.push((field, "Enter a date as year-month-day, like 2026-11-23.".to_owned()));
        }
        read.unwrap_or_default()
    };
    let (from_date, until_date) = (date("from_date", &line.from_date), date("until_date", &line.until_date));
    if !line.format.is_empty() && !formats.iter().any(|(format, _)| *format == line.format) {
        faults.push(("format", "Choose one of the formats.".to_owned()));
    }
    let chosen: String = (1..=7).map(|day: i32| day.to_string()).filter(|day| line.weekdays.contains(day)).collect();
    let rule = Rule {
        id: line.id,
        card_id: card.map_or(0, |card| card.id),
        weekdays: if chosen.len() == WEEKDAYS.len() { String::new() } else { chosen },
        from_time,
        until_time,
        from_date,
        until_date,
        format: line.format.clone(),
    };
    (rule, faults)
}

/// What the rules would change.
struct ShownOutcome {
    /// The number of shows that change, in words.
    count: String,
    /// At most [`LISTED_MAX`].
    shows: Vec<ShownChange>,
    /// How many are not listed.
    more: usize,
}

struct ShownChange {
    id: i64,
    begins: String,
    movie: String,
    screen: String,
    from: String,
    to: String,
    /// Why it keeps what it has; empty if it does not.
    kept: String,
}

/// Returns the formats that shows can have, from their form.
fn formats(site: &Site) -> &'static [(&'static str, &'static str)] {
    let format = site.model(SHOWS).and_then(|shows| shows.fields().find(|field| field.name == "format"));
    match format.map(|field| field.kind) {
        Some(Kind::Choice(formats)) => formats,
        _ => &[],
    }
}

/// Returns the cards that rules can choose: with prices, not retired, or chosen already.
async fn cards(page: &Page, rules: &[Rule]) -> Result<Vec<Card>, ApiError> {
    let cards = store::cards(&mut &page.app.db).await?;
    let is_offered =
        |card: &Card| card.current_id.is_some() && !card.is_retired || rules.iter().any(|rule| rule.card_id == card.id);
    Ok(cards.into_iter().filter(is_offered).collect())
}

/// Returns a hash of rules and their order.
fn hash(rules: &[Rule]) -> String {
    let text = format!("{rules:?}");
    Sha256::digest(text).iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

/// Shows the rules.
///
/// # Errors
/// [`ApiError::NotFound`] if the model in the path has no rules.
pub async fn page(page: Page, Of(model): Of) -> Result<Response, ApiError> {
    if model.name != PRICE_RULES.name {
        return Err(ApiError::NotFound);
    }
    let rules = store::rules(&mut &page.app.db).await?;
    let mut form = Form::new(rules.iter().map(Line::of).collect(), hash(&rules));
    form.is_stored = true;
    show(&page, &form, None, StatusCode::OK).await
}

async fn show(
    page: &Page,
    form: &Form,
    outcome: Option<ShownOutcome>,
    status: StatusCode,
) -> Result<Response, ApiError> {
    let stored = store::rules(&mut &page.app.db).await?;
    let shown = RulesPage {
        frame: page.frame(Some(&PRICE_RULES), vec![("Price rules".to_owned(), String::new())]),
        url: RULES_URL,
        is_editable: page.staff.may(Permission::Change, &PRICE_RULES),
        sees_shows: page.site.model(SHOWS).is_some_and(|shows| page.staff.sees(shows)),
        form,
        once: once::token(),
        weekdays: WEEKDAYS,
        cards: cards(page, &stored).await?,
        formats: formats(page.site),
        outcome,
    };
    Ok((status, html(&shown)).into_response())
}

/// Does what the pressed button of the form says. Only "Save and apply" changes anything, and only if the page has shown
/// the outcome of these rules.
///
/// # Errors
/// [`ApiError::NotFound`] if the model in the path has no rules.
pub async fn post(page: Page, Of(model): Of, posted: Posted) -> Result<Response, ApiError> {
    if model.name != PRICE_RULES.name {
        return Err(ApiError::NotFound);
    }
    let mut form = Form::read(&posted);
    let wanted = posted.text("_do");
    if rearrange(&mut form.lines, wanted) {
        return show(&page, &form, None, StatusCode::OK).await;
    }
    let stored = store::rules(&mut &page.app.db).await?;
    let rules = form.rules(&page, &cards(&page, &stored).await?, formats(page.site));
    if !form.faults.is_empty() {
        return show(&page, &form, None, StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    if wanted == "save" && posted.text("_shown") == hash(&rules) {
        let wish = Wish {
            loaded: form.loaded.clone(),
            form_hash: once::hash(page.staff.user_id, RULES_URL, &posted.0),
            rules,
        };
        return match save(&page, &wish).await? {
            Outcome::Stale => show_stale(&page, form).await,
            outcome => Ok(see_other(RULES_URL, &messages(&outcome))),
        };
    }
    if form.loaded != hash(&stored) {
        return show_stale(&page, form).await;
    }
    form.shown = hash(&rules);
    let changes = store::outcome(&mut &page.app.db, &page.app.config.business_days(), &rules).await?;
    show(&page, &form, Some(shown_outcome(&page, changes)), StatusCode::OK).await
}

/// Shows the form after someone else has changed the rules. Saving it replaces theirs.
async fn show_stale(page: &Page, mut form: Form) -> Result<Response, ApiError> {
    form.loaded = hash(&store::rules(&mut &page.app.db).await?);
    form.is_stale = true;
    show(page, &form, None, StatusCode::CONFLICT).await
}

/// Moves, removes or adds a rule in the form. Returns false if the button does something else.
fn rearrange(lines: &mut Vec<Line>, wanted: &str) -> bool {
    let (verb, place) = wanted.split_once(':').unwrap_or((wanted, ""));
    let place = place.parse().ok().filter(|place: &usize| *place < lines.len());
    match (verb, place) {
        ("add", _) if lines.len() < RULES_MAX => lines.push(Line::default()),
        ("add", _) => {}
        ("up", Some(place)) if place > 0 => lines.swap(place, place - 1),
        ("down", Some(place)) if place + 1 < lines.len() => lines.swap(place, place + 1),
        ("remove", Some(place)) => drop(lines.remove(place)),
        ("up" | "down" | "remove", _) => {}
        _ => return false,
    }
    true
}

fn shown_outcome(page: &Page, changes: Vec<ShowChange>) -> ShownOutcome {
    let changed = changes.iter().filter(|change| change.version.is_ok()).count();
    let count = count_text(i64::try_from(changed).unwrap_or(i64::MAX), "coming show gets", "coming shows get");
    let more = changes.len().saturating_sub(LISTED_MAX);
    let or_none = |name: Option<String>| name.unwrap_or_else(|| "No prices".to_owned());
    let shown = |change: ShowChange| ShownChange {
        id: change.show.id,
        begins: cinema::weekday_minute(change.show.date_time, &page.app.config.time_zone),
        movie: change.show.movie_title,
        screen: change.show.screen_name,
        from: or_none(change.from),
        to: or_none(change.to),
        kept: change.version.err().map_or_else(String::new, |refusal| refusal.to_string()),
    };
    ShownOutcome {
        count: format!("{count} another price card."),
        shows: changes.into_iter().take(LISTED_MAX).map(shown).collect(),
        more,
    }
}

/// Rules that someone wants to save.
struct Wish {
    rules: Vec<Rule>,
    loaded: String,
    form_hash: Vec<u8>,
}

/// What saving did.
enum Outcome {
    /// How many shows got another card, and how many keep what they have.
    Saved(usize, usize),
    /// Someone else has changed the rules.
    Stale,
    /// The same form was saved before.
    Repeated,
}

/// Saves rules, and retries after a conflict with another transaction, which leaves nothing written.
async fn save(page: &Page, wish: &Wish) -> Result<Outcome, ApiError> {
    let mut tries = 0;
    loop {
        match save_once(page, wish).await {
            Err(DbError::Conflict(_)) if tries < TRIES => tries += 1,
            result => return Ok(result?),
        }
    }
}

async fn save_once(page: &Page, wish: &Wish) -> DbResult<Outcome> {
    let mut tx = page.app.db.begin().await?;
    if !once::spend(&mut tx, &wish.form_hash).await? {
        return Ok(Outcome::Repeated);
    }
    store::lock_cards(&mut tx).await?;
    let before = store::rules(&mut tx).await?;
    if hash(&before) != wish.loaded {
        return Ok(Outcome::Stale);
    }
    let after = store::put_rules(&mut tx, &wish.rules).await?;
    log_rules(page, &mut tx, &before, &after).await?;
    let changes = store::outcome(&mut tx, &page.app.config.business_days(), &after).await?;
    store::apply(&mut tx, &changes).await?;
    let (changed, kept): (Vec<ShowChange>, Vec<ShowChange>) =
        changes.into_iter().partition(|change| change.version.is_ok());
    for change in &changed {
        log_show(page, &mut tx, change).await?;
    }
    tx.commit().await?;
    page.app.caches.all_shows_changed();
    Ok(Outcome::Saved(changed.len(), kept.len()))
}

/// Writes what happened to each rule into the history.
async fn log_rules(page: &Page, tx: &mut Tx, before: &[Rule], after: &[Rule]) -> DbResult<()> {
    let cards = store::cards(tx).await?;
    let name = |rule: &Rule| {
        let card = cards.iter().find(|card| card.id == rule.card_id);
        card.map_or_else(String::new, |card| card.name.clone())
    };
    let words = |place: usize, rule: &Rule| format!("{}. {}: {}", place + 1, rule.in_words(), name(rule));
    let find = |rules: &[Rule], id: i64| {
        let place = rules.iter().position(|rule| rule.id == id)?;
        Some(words(place, &rules[place]))
    };
    let gone = before.iter().filter(|rule| after.iter().all(|other| other.id != rule.id));
    for rule in after.iter().chain(gone) {
        let (was, is) = (find(before, rule.id), find(after, rule.id));
        if was == is {
            continue;
        }
        let action = match (&was, &is) {
            (None, _) => "add",
            (_, None) => "delete",
            _ => "change",
        };
        let (before, after) = (was.unwrap_or_default(), is.unwrap_or_default());
        let change = FieldChange { field: "Rule".to_owned(), before, after };
        let label = format!("Rule for {}", name(rule));
        log::add(tx, &page.staff, PRICE_RULES.name, rule.id, &label, action, &[change]).await?;
    }
    Ok(())
}

/// Writes a show's new card into its history.
async fn log_show(page: &Page, tx: &mut Tx, change: &ShowChange) -> DbResult<()> {
    let ShowChange { show, from, to, .. } = change;
    let label = format!(
        "{}, {}, {}",
        show.movie_title,
        cinema::minute(show.date_time, &page.app.config.time_zone),
        show.screen_name
    );
    let name = |card: &Option<String>| card.clone().unwrap_or_else(|| "No prices".to_owned());
    let change = FieldChange { field: "Prices by the rules".to_owned(), before: name(from), after: name(to) };
    log::add(tx, &page.staff, SHOWS, show.id, &label, "change", &[change]).await
}

fn messages(outcome: &Outcome) -> Vec<Message> {
    let Outcome::Saved(changed, kept) = outcome else {
        return vec!["The form was sent twice; it was saved once.".to_owned().into()];
    };
    let count = |shows: usize, one: &str, many: &str| count_text(i64::try_from(shows).unwrap_or(i64::MAX), one, many);
    let has = count(*changed, "coming show has", "coming shows have");
    let mut messages = vec![Message::from(format!("The rules are saved. {has} another price card now."))];
    let keep = count(*kept, "show keeps", "shows keep");
    let text = format!("{keep} the prices from before, because the new card lacks a category of its seats.");
    messages.extend((*kept > 0).then(|| Message::warning(text)));
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buttons_rearrange_the_rules() {
        let mut lines: Vec<Line> = (1..=3).map(|id| Line { id, ..Line::default() }).collect();
        let mut press = |button: &str| {
            let is_done = rearrange(&mut lines, button);
            (is_done, lines.iter().map(|line| line.id).collect::<Vec<_>>())
        };
        assert_eq!(press("up:1"), (true, vec![2, 1, 3]));
        assert_eq!(press("down:1"), (true, vec![2, 3, 1]));
        assert_eq!(press("up:0"), (true, vec![2, 3, 1]));
        assert_eq!(press("down:2"), (true, vec![2, 3, 1]));
        assert_eq!(press("remove:9"), (true, vec![2, 3, 1]));
        assert_eq!(press("remove:0"), (true, vec![3, 1]));
        assert_eq!(press("add"), (true, vec![3, 1, 0]));
        assert_eq!(press("save"), (false, vec![3, 1, 0]));
    }
}
