//! The seats of a show: who has them, and which of them staff block and release.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::map::{self, DrawnMap, SeatLook};
use super::{Entries, Faults, as_value, from_value, grouped, kind_label, kinds, labels, named};
use crate::accounts::store as accounts;
use crate::admin::guard::{Id, Of, Page};
use crate::admin::query::log;
use crate::admin::render::Frame;
use crate::admin::words::count_text;
use crate::admin::{FieldChange, Model};
use crate::bookings::admin::BOOKINGS;
use crate::bookings::store as bookings;
use crate::desk::command::{Block, BlockKind};
use crate::desk::error::BookingError;
use crate::desk::plans::SeatPlan;
use crate::desk::state::Holder;
use crate::error::ApiError;
use crate::plans::store::{self, BlockedSeat};
use crate::shows::admin::SHOWS;
use crate::shows::store::{self as shows, StoredShow};
use crate::state::App;
use crate::time::cinema;
use crate::time::clock::SECOND;
use crate::web::html::flash::{Message, see_other};
use crate::web::html::forms::Posted;
use crate::web::html::page::{answer, html};

#[derive(Template)]
#[template(path = "admin/seats.html")]
struct SeatsPage<'a> {
    frame: Frame,
    title: String,
    zone: String,
    map: Option<DrawnMap>,
    counts: Counts,
    may_change: bool,
    entries: &'a Entries,
    kinds: Vec<(&'static str, &'static str, bool)>,
    faults: &'a Faults,
    blocks: Vec<BlockLine>,
}

/// How many seats are in each state.
#[derive(Default)]
struct Counts {
    free: usize,
    sold: usize,
    held: usize,
    blocked: usize,
}

/// Seats that were blocked together.
struct BlockLine {
    seats: String,
    kind: &'static str,
    reason: String,
    until: String,
    by: String,
    since: String,
    /// The numbers of the seats.
    value: String,
}

/// What blocks have in common that are shown in one line.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct BlockFacts {
    kind: String,
    reason: String,
    release_at: Option<i64>,
    blocked_by: i64,
    blocked_at: i64,
}

/// A show and its seats.
struct Subject {
    show: StoredShow,
    label: String,
    /// None if the show has no plan and too many seats.
    plan: Option<Arc<SeatPlan>>,
}

impl Subject {
    async fn find(app: &App, model: &Model, id: i64) -> Result<Subject, ApiError> {
        if model.name != SHOWS.name {
            return Err(ApiError::NotFound);
        }
        let show = shows::shows(&mut app.db.begin().await?, &[id]).await?.pop().ok_or(ApiError::NotFound)?;
        let plan = app.desk.plans().of_show(&app.db, show.draft.plan_id, show.draft.total_seats).await?;
        let label = show.label(&app.config.time_zone);
        Ok(Subject { show, label, plan })
    }

    fn url(&self) -> String {
        format!("/admin/shows/{}/seats/", self.show.id)
    }

    /// Returns the blocks of seats that exist.
    async fn blocks(&self, app: &App, plan: &SeatPlan) -> Result<Vec<BlockedSeat>, ApiError> {
        let mut blocks = store::blocked_seats(&mut &app.db, self.show.id, app.desk.now()).await?;
        let exists = |number: i64| plan.seats().binary_search_by_key(&number, |seat| seat.seat).is_ok();
        blocks.retain(|block| block.kind != BlockKind::Retired.name() && exists(block.seat));
        Ok(blocks)
    }
}

pub async fn page(page: Page, Of(model): Of, Id(id): Id) -> Response {
    answer(async {
        let subject = Subject::find(&page.app, model, id).await?;
        show(&page, &subject, &Entries::default(), &Faults::new(), StatusCode::OK).await
    })
    .await
}

pub async fn change(page: Page, Of(model): Of, Id(id): Id, posted: Posted) -> Response {
    answer(async {
        let subject = Subject::find(&page.app, model, id).await?;
        let Some(plan) = subject.plan.clone() else { return Err(ApiError::NotFound) };
        let mut entries = Entries::read(&posted);
        let is_release = posted.has("release") || posted.text("do") == "release";
        if posted.has("release") {
            entries.seats = from_value(posted.text("release"));
        }
        let mut faults = Faults::new();
        entries.check_seats(&plan, &mut faults);
        let block = match is_release {
            true => None,
            false => Some(read_block(&page, &subject, &entries, &mut faults)),
        };
        if !faults.is_empty() {
            return show(&page, &subject, &entries, &faults, StatusCode::UNPROCESSABLE_ENTITY).await;
        }
        // Goes on if the browser disconnects, so that a change is always logged.
        let work = perform(page.clone(), subject.show.id, Arc::clone(&plan), entries.seats.clone(), block);
        let done = page.app.tasks.spawn(work).await.map_err(|error| ApiError::Internal(error.to_string()))?;
        match done {
            Ok(messages) => Ok(see_other(&subject.url(), &messages)),
            Err(error) => {
                let fault = refusal(&plan, error)?;
                entries.seats = Entries::read(&posted).seats;
                show(&page, &subject, &entries, &vec![(fault, "map")], StatusCode::CONFLICT).await
            }
        }
    })
    .await
}

/// Returns the block that someone typed. Without faults, it is complete.
fn read_block(page: &Page, subject: &Subject, entries: &Entries, faults: &mut Faults) -> Block {
    let (date_time, zone) = (subject.show.draft.date_time, &page.app.config.time_zone);
    let kind = entries.kind(faults);
    entries.check_reason(faults);
    let minutes = entries.minutes(faults);
    let mut release_at = minutes.map(|minutes| date_time - minutes * 60 * SECOND);
    if !entries.release_at.is_empty() {
        if minutes.is_some() {
            faults.push(("Enter a time or minutes, not both.".to_owned(), "release_at"));
        }
        match cinema::parse(&entries.release_at, zone) {
            Ok((at, _)) => release_at = Some(at),
            Err(text) => faults.push((format!("Release at: {text}"), "release_at")),
        }
    }
    let at = if minutes.is_some() { "minutes" } else { "release_at" };
    if release_at.is_some_and(|release_at| release_at <= page.app.desk.now()) {
        faults.push(("This time is over: the seats would be free immediately.".to_owned(), at));
    } else if release_at.is_some_and(|release_at| release_at > date_time) {
        let begins = cinema::minute(date_time, zone);
        faults.push((format!("Nobody can book after the show has begun: enter a time before {begins}."), at));
    }
    let reason = entries.reason.clone();
    Block { kind, reason, release_at, by_user: page.staff.user_id }
}

/// Returns why the desk refused, as text for people.
fn refusal(plan: &SeatPlan, error: BookingError) -> Result<String, ApiError> {
    let be = |seats: &[i64]| if seats.len() == 1 { "is" } else { "are" };
    match error {
        BookingError::SeatsTaken { seats, .. } => {
            Ok(format!("{} {} sold or held by now. Nothing was blocked.", named(plan, &seats), be(&seats)))
        }
        BookingError::NotBlocked { seats } => {
            Ok(format!("{} {} not blocked. Nothing was released.", named(plan, &seats), be(&seats)))
        }
        BookingError::ShowStarted => Ok("The show has begun, so its seats can't be blocked any more.".to_owned()),
        error => Err(error.into()),
    }
}

/// Blocks these seats, or releases them, and logs it. Returns the messages about it.
async fn perform(
    page: Page,
    show_id: i64,
    plan: Arc<SeatPlan>,
    seats: Vec<i64>,
    block: Option<Block>,
) -> Result<Vec<Message>, BookingError> {
    let app = &page.app;
    let present = Arc::new(());
    let mut before = store::blocked_seats(&mut &app.db, show_id, app.desk.now()).await?;
    before.retain(|block| seats.binary_search(&block.seat).is_ok());
    let client = Arc::downgrade(&present);
    match &block {
        Some(block) => app.desk.block(show_id, seats.clone(), block.clone(), client).await?,
        None => app.desk.unblock(show_id, seats.clone(), client).await?,
    }
    let (verb, field) = if block.is_some() { ("Blocked", "Seats blocked") } else { ("Released", "Seats released") };
    let mut messages = vec![Message::from(format!("{verb}: {}.", named(&plan, &seats)))];
    let zone = &app.config.time_zone;
    let in_words = |kind: &str, reason: &str, release_at: Option<i64>| {
        let until = release_at.map_or(String::new(), |at| format!(", until {}", cinema::minute(at, zone)));
        format!("{}, “{reason}”{until}", kind_label(kind))
    };
    let were = before.iter().map(|was| (was.seat, in_words(&was.kind, &was.reason, was.release_at)));
    let were = grouped(were).into_iter().map(|(seats, what)| format!("{}: {what}", labels(&plan, &seats).join(", ")));
    let all = labels(&plan, &seats).join(", ");
    let change = FieldChange {
        field: field.to_owned(),
        before: were.collect::<Vec<_>>().join("; "),
        after: match &block {
            Some(block) => format!("{all}: {}", in_words(block.kind.name(), &block.reason, block.release_at)),
            None => format!("{all}: free"),
        },
    };
    if let Err(error) = record(&page, show_id, change).await {
        tracing::error!(%error, show_id, "blocked seats are missing from the change log");
        messages.push(Message::warning("The database could not record this in the change log.".to_owned()));
    }
    Ok(messages)
}

async fn record(page: &Page, show_id: i64, change: FieldChange) -> crate::db::Result<()> {
    let mut tx = page.app.db.begin().await?;
    let show = shows::shows(&mut tx, &[show_id]).await?.pop();
    let label = show.map_or_else(String::new, |show| show.label(&page.app.config.time_zone));
    log::add(&mut tx, &page.staff, SHOWS.name, show_id, &label, "change", &[change]).await?;
    tx.commit().await
}

async fn show(
    page: &Page,
    subject: &Subject,
    entries: &Entries,
    faults: &Faults,
    status: StatusCode,
) -> Result<Response, ApiError> {
    let app = &page.app;
    let id = subject.show.id;
    let may_change = page.staff.changes(&SHOWS);
    let mut counts = Counts::default();
    let (map, blocks) = match &subject.plan {
        Some(plan) => {
            let blocks = subject.blocks(app, plan).await?;
            let looks = looks(page, subject, plan, entries, &blocks).await?;
            looks.values().for_each(|look| counts.add(look.state));
            let map = map::draw(plan, |number| looks.get(&number).cloned().unwrap_or_default())?;
            (Some(map), block_lines(app, plan, blocks).await?)
        }
        None => (None, Vec::new()),
    };
    let path = vec![
        ("Shows".to_owned(), "/admin/shows/".to_owned()),
        (subject.label.clone(), format!("/admin/shows/{id}/change/")),
        ("Seats".to_owned(), String::new()),
    ];
    let shown = SeatsPage {
        frame: page.frame(Some(&SHOWS), path),
        title: format!("Seats of {}", subject.label),
        zone: app.config.time_zone.iana_name().unwrap_or("UTC").to_owned(),
        map,
        counts,
        may_change,
        entries,
        kinds: kinds(&entries.kind),
        faults,
        blocks,
    };
    Ok((status, html(&shown)).into_response())
}

impl Counts {
    fn add(&mut self, state: char) {
        *match state {
            's' => &mut self.sold,
            'h' => &mut self.held,
            'b' => &mut self.blocked,
            _ => &mut self.free,
        } += 1;
    }
}

/// Returns how each seat of the plan is shown.
async fn looks(
    page: &Page,
    subject: &Subject,
    plan: &SeatPlan,
    entries: &Entries,
    blocks: &[BlockedSeat],
) -> Result<HashMap<i64, SeatLook>, ApiError> {
    let (app, show_id, now) = (&page.app, subject.show.id, page.app.desk.now());
    let holders: HashMap<i64, Holder> = app.desk.holders(show_id).await?.into_iter().collect();
    let booked: HashMap<i64, i64> = match page.staff.sees(&BOOKINGS) {
        true => bookings::booked_seats(&app.db, show_id).await?.into_iter().collect(),
        false => HashMap::new(),
    };
    let blocks: HashMap<i64, &BlockedSeat> = blocks.iter().map(|block| (block.seat, block)).collect();
    let chosen: BTreeSet<i64> = entries.seats.iter().copied().collect();
    let may_change = page.staff.changes(&SHOWS);
    let look = |number: i64| {
        let holder = holders.get(&number).filter(|holder| holder.is_live(now));
        let (state, words) = match holder {
            None => ('f', "free".to_owned()),
            Some(Holder::Taken) => ('s', "sold".to_owned()),
            Some(Holder::Held { .. }) => ('h', "held".to_owned()),
            Some(Holder::Blocked { until, .. }) => {
                let why = blocks.get(&number).map_or(String::new(), |block| {
                    format!(": {}, {}", kind_label(&block.kind).to_lowercase(), block.reason)
                });
                let until =
                    until.map_or(String::new(), |at| format!(", until {}", cinema::minute(at, &app.config.time_zone)));
                ('b', format!("blocked{why}{until}"))
            }
        };
        let is_choice = may_change && matches!(state, 'f' | 'b');
        let url = booked.get(&number).filter(|_| state == 's');
        SeatLook {
            state,
            words,
            is_choice,
            is_chosen: is_choice && chosen.contains(&number),
            url: url.map_or(String::new(), |booking| format!("/admin/bookings/{booking}/change/")),
        }
    };
    Ok(plan.seats().iter().map(|seat| (seat.seat, look(seat.seat))).collect())
}

async fn block_lines(app: &App, plan: &SeatPlan, blocks: Vec<BlockedSeat>) -> Result<Vec<BlockLine>, ApiError> {
    let users: BTreeSet<i64> = blocks.iter().map(|block| block.blocked_by).collect();
    let users = accounts::by_ids(&app.db, users.into_iter().collect()).await?;
    let zone = &app.config.time_zone;
    let facts = blocks.into_iter().map(|block| {
        let BlockedSeat { seat, kind, reason, release_at, blocked_at, blocked_by } = block;
        (seat, BlockFacts { kind, reason, release_at, blocked_by, blocked_at })
    });
    let line = |(seats, facts): (Vec<i64>, BlockFacts)| BlockLine {
        seats: labels(plan, &seats).join(", "),
        kind: kind_label(&facts.kind),
        reason: facts.reason,
        until: facts.release_at.map_or_else(|| "staff release it".to_owned(), |at| cinema::weekday_minute(at, zone)),
        by: match (facts.blocked_by, users.get(&facts.blocked_by)) {
            (0, _) => "the screen's standing blocks".to_owned(),
            (_, Some(Some(known))) => known.user.username.clone(),
            (id, _) => format!("user {id}"),
        },
        since: cinema::minute(facts.blocked_at, zone),
        value: as_value(&seats),
    };
    Ok(grouped(facts).into_iter().map(line).collect())
}

impl SeatsPage<'_> {
    fn total(&self) -> String {
        let Counts { free, sold, held, blocked } = &self.counts;
        count_text((free + sold + held + blocked) as i64, "seat", "seats")
    }
}
