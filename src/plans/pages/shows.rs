//! The upcoming shows on a screen that have an earlier version of its plan: which of them can get the current one, and
//! why the others can't.

use askama::Template;
use axum::extract::RawQuery;
use axum::response::Response;

use super::{Screen, counted, in_words};
use crate::admin::FieldChange;
use crate::admin::Permission::Change;
use crate::admin::guard::{Id, Of, Page};
use crate::admin::query::{log, objects};
use crate::admin::render::Frame;
use crate::db::{DbError, Result as DbResult};
use crate::error::ApiError;
use crate::plans::moving;
use crate::plans::store::{self, PlanVersion};
use crate::shows::store::{self as shows, StoredShow};
use crate::time::{cinema, clock};
use crate::web::html::flash::{Message, see_other};
use crate::web::html::forms::{Posted, query_value};
use crate::web::html::page::html;

/// The most shows on a page.
const PER_PAGE: i64 = 200;

/// How often a change that conflicts with another transaction is retried.
const TRIES: usize = 3;

#[derive(Template)]
#[template(path = "admin/plan_shows.html")]
struct ShowsPage<'a> {
    frame: Frame,
    screen: &'a Screen,
    /// The current version in words.
    version: String,
    plan_id: i64,
    is_editable: bool,
    /// Shows that can get the current version.
    ready: Vec<ListedShow>,
    /// Shows that can't.
    kept: Vec<ListedShow>,
    /// Which page this is, from 1, and whether there is another one.
    number: i64,
    has_next: bool,
}

struct ListedShow {
    id: i64,
    begins: String,
    movie: String,
    /// The version that the show has now.
    has: String,
    taken: i64,
    /// Why it can't get the current version.
    reasons: Vec<String>,
}

/// Lists the shows.
///
/// # Errors
/// [`ApiError::NotPermitted`] if the user may not see shows; [`ApiError::NotFound`] if the screen has no plan.
pub async fn page(page: Page, Of(model): Of, Id(id): Id, query: RawQuery) -> Result<Response, ApiError> {
    let screen = Screen::find(&page, model, id).await?;
    let shows_model = page.site.model("shows").ok_or(ApiError::NotFound)?;
    if !page.staff.sees(shows_model) {
        return Err(ApiError::NotPermitted);
    }
    let current = screen.versions.first().ok_or(ApiError::NotFound)?;
    let number: i64 = query_value(&query, "page").parse().unwrap_or(1).clamp(1, 10_000);
    let mut tx = page.app.db.begin().await?;
    let skipped = (number - 1) * PER_PAGE;
    let mut ids = store::shows_with_another_plan(&mut tx, id, current.id, skipped, PER_PAGE + 1).await?;
    let has_next = ids.len() as i64 > PER_PAGE;
    ids.truncate(PER_PAGE as usize);
    let found = shows::shows(&mut tx, &ids).await?;
    let Some(to) = shows::seats_of_screen(&mut tx, id).await? else { return Err(ApiError::NotFound) };
    let reasons = moving::why_none_of(&mut tx, &found, &to).await?;
    drop(tx);
    let listed = found.into_iter().zip(reasons).map(|(show, reasons)| ListedShow {
        id: show.id,
        begins: cinema::weekday_minute(show.draft.date_time, &page.app.config.time_zone),
        has: has(&screen, &show),
        taken: show.taken,
        movie: show.movie_title,
        reasons,
    });
    let (ready, kept) = listed.partition(|show| show.reasons.is_empty());
    let shown = ShowsPage {
        frame: screen.frame(&page, "Shows"),
        screen: &screen,
        version: in_words(current),
        plan_id: current.id,
        is_editable: screen.is_editable && page.staff.may(Change, shows_model),
        ready,
        kept,
        number,
        has_next,
    };
    Ok(html(&shown))
}

/// Returns the seats that a show has now, in words.
fn has(screen: &Screen, show: &StoredShow) -> String {
    let version = screen.versions.iter().find(|version| show.draft.plan_id == Some(version.id));
    match (version, show.draft.plan_id) {
        (Some(version), _) => in_words(version),
        (None, Some(_)) => "the plan of another screen".to_owned(),
        (None, None) => format!("no plan, {}", counted(show.draft.total_seats, "seat")),
    }
}

/// What happened to a show.
enum Moved {
    Done,
    /// Why it keeps its seats, after its name.
    Kept(String),
    /// It is cancelled, has begun, or has the version already.
    Nothing,
}

/// Gives the selected shows the current version.
///
/// # Errors
/// [`ApiError::NotPermitted`] if the user may not change shows.
pub async fn give(page: Page, Of(model): Of, Id(id): Id, posted: Posted) -> Result<Response, ApiError> {
    let screen = Screen::find(&page, model, id).await?;
    if !page.site.model("shows").is_some_and(|shows| page.staff.may(Change, shows)) {
        return Err(ApiError::NotPermitted);
    }
    let current = screen.versions.first().ok_or(ApiError::NotFound)?;
    let back = screen.url("shows/");
    if posted.text("plan") != current.id.to_string() {
        let text = "There is a newer version of the plan. No show was changed. Check the list again.".to_owned();
        return Ok(see_other(&back, &[Message::warning(text)]));
    }
    let mut ids: Vec<i64> = posted.all("ids").iter().filter_map(|id| id.parse().ok()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.truncate(PER_PAGE as usize);
    if ids.is_empty() {
        return Ok(see_other(&back, &[Message::warning("Select at least one show.".to_owned())]));
    }
    let (mut done, mut messages) = (0, Vec::new());
    for show_id in ids {
        match move_show(&page, &screen, current, show_id).await {
            Ok(Moved::Done) => done += 1,
            Ok(Moved::Kept(why)) => messages.push(Message::warning(why)),
            Ok(Moved::Nothing) => {}
            Err(error) if done == 0 => return Err(error.into()),
            Err(error) => {
                tracing::error!(%error, "a show did not get its new seat plan");
                let text = "A database error stopped this. The shows below still have their earlier plan. Try again.";
                messages.push(Message::warning(text.to_owned()));
                break;
            }
        }
    }
    page.app.caches.all_shows_changed();
    let has = if done == 1 { "has" } else { "have" };
    let text = format!("{} {has} version {} of the plan now.", counted(done, "show"), current.version);
    messages.insert(0, Message::from(text));
    Ok(see_other(&back, &messages))
}

/// Gives a show the current version, and retries after a conflict with another transaction.
async fn move_show(page: &Page, screen: &Screen, current: &PlanVersion, id: i64) -> DbResult<Moved> {
    let mut tries = 0;
    loop {
        match move_once(page, screen, current, id).await {
            Err(DbError::Conflict(_)) if tries < TRIES => tries += 1,
            result => return result,
        }
    }
}

async fn move_once(page: &Page, screen: &Screen, current: &PlanVersion, id: i64) -> DbResult<Moved> {
    let Some(model) = page.site.model("shows") else { return Ok(Moved::Nothing) };
    let mut tx = page.app.db.begin().await?;
    // From here on nobody else changes the show.
    objects::lock(&mut tx, model, id).await?;
    let Some(show) = shows::shows(&mut tx, &[id]).await?.pop() else { return Ok(Moved::Nothing) };
    let has_begun = show.draft.date_time <= clock::now();
    let has_it = show.draft.plan_id == Some(current.id);
    if show.draft.screen_id != screen.id || show.cancelled || has_begun || has_it {
        return Ok(Moved::Nothing);
    }
    let Some(to) = shows::seats_of_screen(&mut tx, screen.id).await? else { return Ok(Moved::Nothing) };
    if to.plan_id != current.id {
        return Ok(Moved::Kept("There is a newer version of the plan. Check the list again.".to_owned()));
    }
    let label = show.label(&page.app.config.time_zone);
    let obstacles = moving::give_seats(&mut tx, &show, &to, true).await?;
    if !obstacles.is_empty() {
        return Ok(Moved::Kept(format!("{label}: {}", obstacles.join(" "))));
    }
    let change = FieldChange { field: "Seat plan".to_owned(), before: has(screen, &show), after: in_words(current) };
    log::add(&mut tx, &page.staff, model.name, id, &label, "change", &[change]).await?;
    tx.commit().await?;
    Ok(Moved::Done)
}
