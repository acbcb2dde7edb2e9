//! The standing blocks of a screen: seats that are blocked in each new show.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::map::{self, DrawnMap, SeatLook};
use super::{Entries, Faults, as_value, from_value, grouped, kind_label, kinds, labels, named};
use crate::admin::guard::{Id, Of, Page};
use crate::admin::query::log;
use crate::admin::render::Frame;
use crate::admin::{FieldChange, Model};
use crate::desk::plans::{PlanName, SeatPlan};
use crate::error::ApiError;
use crate::plans::store as plans;
use crate::screens::admin::SCREENS;
use crate::screens::store as screens;
use crate::shows::store::{self as shows, StandingBlock};
use crate::state::App;
use crate::web::html::flash::see_other;
use crate::web::html::forms::Posted;
use crate::web::html::page::{answer, html};

#[derive(Template)]
#[template(path = "admin/standing.html")]
struct StandingPage<'a> {
    frame: Frame,
    title: String,
    map: Option<DrawnMap>,
    has_wheelchair_spaces: bool,
    may_change: bool,
    entries: &'a Entries,
    kinds: Vec<(&'static str, &'static str, bool)>,
    faults: &'a Faults,
    blocks: Vec<StandingLine>,
}

/// Seats that are blocked for the same reason.
struct StandingLine {
    seats: String,
    kind: &'static str,
    reason: String,
    released: String,
    /// The numbers of the seats.
    value: String,
}

struct Subject {
    id: i64,
    name: String,
    /// None if the screen has no plan.
    plan: Option<Arc<SeatPlan>>,
}

impl Subject {
    async fn find(app: &App, model: &Model, id: i64) -> Result<Subject, ApiError> {
        if model.name != SCREENS.name {
            return Err(ApiError::NotFound);
        }
        let mut tx = app.db.begin().await?;
        let name = screens::screen(&mut tx, id).await?.ok_or(ApiError::NotFound)?;
        let seats = shows::seats_of_screen(&mut tx, id).await?;
        drop(tx);
        let plan = match seats {
            Some(seats) => app.desk.plans().find(&app.db, PlanName::Version(seats.plan_id)).await?,
            None => None,
        };
        Ok(Subject { id, name, plan })
    }

    fn url(&self) -> String {
        format!("/admin/screens/{}/blocks/", self.id)
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
        let mut faults = Faults::new();
        if posted.text("do") == "wheelchair" {
            entries.seats = wheelchair_spaces(&plan);
            return show(&page, &subject, &entries, &faults, StatusCode::OK).await;
        }
        let is_removal = posted.has("remove") || posted.text("do") == "remove";
        if posted.has("remove") {
            entries.seats = from_value(posted.text("remove"));
        }
        if is_removal {
            // A seat that the plan no longer has may have a block, too.
            if entries.seats.is_empty() {
                faults.push(("Choose at least one seat.".to_owned(), "map"));
            }
        } else {
            entries.check_seats(&plan, &mut faults);
        }
        let kind = (!is_removal).then(|| entries.kind(&mut faults));
        if !is_removal {
            entries.check_reason(&mut faults);
        }
        let release_minutes = if is_removal { None } else { entries.minutes(&mut faults) };
        if !faults.is_empty() {
            return show(&page, &subject, &entries, &faults, StatusCode::UNPROCESSABLE_ENTITY).await;
        }
        let new = kind.map_or_else(Vec::new, |kind| {
            let block =
                |seat: &i64| StandingBlock { seat: *seat, kind, reason: entries.reason.clone(), release_minutes };
            entries.seats.iter().map(block).collect()
        });
        let has_changed = put(&page, &subject, &plan, &entries.seats, new).await?;
        let seats = named(&plan, &entries.seats);
        let text = match (has_changed, is_removal) {
            (false, _) => "Nothing was changed.".to_owned(),
            (true, true) => format!("No longer blocked in new shows: {seats}."),
            (true, false) => format!("Blocked in new shows: {seats}."),
        };
        Ok(see_other(&subject.url(), &[text.into()]))
    })
    .await
}

/// Returns all wheelchair spaces, and the seats of their companions.
fn wheelchair_spaces(plan: &SeatPlan) -> Vec<i64> {
    let is_space = |number: i64| plan.seat(number).attributes.iter().any(|one| one == "wheelchair_space");
    let belongs =
        |seat: &&crate::desk::plans::SeatDetail| is_space(seat.seat) || seat.companion_of.is_some_and(is_space);
    plan.seats().iter().filter(belongs).map(|seat| seat.seat).collect()
}

/// Replaces the blocks of these seats by new ones, and logs it. Returns whether anything has changed.
async fn put(
    page: &Page,
    subject: &Subject,
    plan: &SeatPlan,
    seats: &[i64],
    new: Vec<StandingBlock>,
) -> Result<bool, ApiError> {
    let mut tx = page.app.db.begin().await?;
    // Two people who save at the same time get one change after the other.
    screens::lock(&mut tx, subject.id).await?;
    let before = shows::standing_blocks(&mut tx, subject.id).await?;
    let mut after: BTreeMap<i64, StandingBlock> = before.iter().map(|block| (block.seat, block.clone())).collect();
    seats.iter().for_each(|seat| drop(after.remove(seat)));
    after.extend(new.into_iter().map(|block| (block.seat, block)));
    let after: Vec<StandingBlock> = after.into_values().collect();
    if before == after {
        return Ok(false);
    }
    plans::put_standing_blocks(&mut tx, subject.id, &after).await?;
    let change = FieldChange {
        field: "Standing blocks".to_owned(),
        before: in_words(plan, &before),
        after: in_words(plan, &after),
    };
    log::add(&mut tx, &page.staff, SCREENS.name, subject.id, &subject.name, "change", &[change]).await?;
    tx.commit().await?;
    Ok(true)
}

type Facts = (&'static str, String, Option<i64>);

/// Returns the blocks in groups that differ in their seats only.
fn groups(blocks: &[StandingBlock]) -> Vec<(Vec<i64>, Facts)> {
    let facts = |block: &StandingBlock| (block.kind.name(), block.reason.clone(), block.release_minutes);
    grouped(blocks.iter().map(|block| (block.seat, facts(block))))
}

fn released(minutes: Option<i64>) -> String {
    match minutes {
        None => "by staff".to_owned(),
        Some(0) => "when the show begins".to_owned(),
        Some(1) => "1 minute before the show begins".to_owned(),
        Some(minutes) => format!("{minutes} minutes before the show begins"),
    }
}

/// Describes blocks for the log.
fn in_words(plan: &SeatPlan, blocks: &[StandingBlock]) -> String {
    let line = |(seats, (kind, reason, minutes)): (Vec<i64>, Facts)| {
        let seats = labels(plan, &seats).join(", ");
        format!("{seats}: {}, “{reason}”, released {}", kind_label(kind), released(minutes))
    };
    groups(blocks).into_iter().map(line).collect::<Vec<_>>().join("; ")
}

async fn show(
    page: &Page,
    subject: &Subject,
    entries: &Entries,
    faults: &Faults,
    status: StatusCode,
) -> Result<Response, ApiError> {
    let mut tx = page.app.db.begin().await?;
    let blocks = shows::standing_blocks(&mut tx, subject.id).await?;
    drop(tx);
    let may_change = page.staff.changes(&SCREENS);
    let (mut map, mut lines) = (None, Vec::new());
    if let Some(plan) = &subject.plan {
        let of_seats: HashMap<i64, &StandingBlock> = blocks.iter().map(|block| (block.seat, block)).collect();
        let chosen: BTreeSet<i64> = entries.seats.iter().copied().collect();
        let look = |number: i64| {
            let (state, words) = match of_seats.get(&number) {
                None => ('f', "not blocked".to_owned()),
                Some(StandingBlock { kind, reason, release_minutes, .. }) => {
                    let (kind, released) = (kind_label(kind.name()).to_lowercase(), released(*release_minutes));
                    ('b', format!("blocked: {kind}, {reason}, released {released}"))
                }
            };
            let is_chosen = may_change && chosen.contains(&number);
            SeatLook { state, words, is_choice: may_change, is_chosen, url: String::new() }
        };
        map = Some(map::draw(plan, look)?);
        lines = groups(&blocks)
            .into_iter()
            .map(|(seats, (kind, reason, minutes))| StandingLine {
                seats: labels(plan, &seats).join(", "),
                kind: kind_label(kind),
                reason,
                released: released(minutes),
                value: as_value(&seats),
            })
            .collect();
    }
    let path = vec![
        ("Screens".to_owned(), "/admin/screens/".to_owned()),
        (subject.name.clone(), format!("/admin/screens/{}/change/", subject.id)),
        ("Standing blocks".to_owned(), String::new()),
    ];
    let shown = StandingPage {
        frame: page.frame(Some(&SCREENS), path),
        title: format!("Standing blocks of {}", subject.name),
        map,
        has_wheelchair_spaces: subject.plan.as_ref().is_some_and(|plan| !wheelchair_spaces(plan).is_empty()),
        may_change,
        entries,
        kinds: kinds(&entries.kind),
        faults,
        blocks: lines,
    };
    Ok((status, html(&shown)).into_response())
}
