//! Cancelling shows for staff: first the sales, then every booking and hold.

use super::admin::stored;
use super::store::{self, StoredShow};
use super::texts::count_text;
use crate::admin::{FieldChange, Report, SaveError, Staff};
use crate::bookings::admin::told;
use crate::bookings::store::left_of_show;
use crate::desk::ChangedShow;
use crate::desk::command::StaffAction;
use crate::desk::staff;
use crate::orders::history;
use crate::state::App;

/// The most passes over a show's remaining bookings. Sales are already closed, so two usually suffice.
const ROUNDS: usize = 5;

/// How many bookings are sent to the desk together, so that one transaction cancels them.
const TOGETHER: usize = 300;

/// Closes the show first, then cancels every booking and hold. It may stop at any point; running it again goes on from
/// there.
pub async fn cancel(app: &App, by: &Staff, ids: &[i64]) -> Result<Report, SaveError> {
    let mut report = Report::default();
    for show in stored(app, ids).await? {
        let name = show.label(&app.config.time_zone);
        if app.tasks.must_end() {
            report.not_done.push(format!("{name}: not cancelled, because the server is stopping. Cancel it again."));
            continue;
        }
        let is_new = match store::cancel_show(&app.db, show.id).await {
            Ok(is_new) => is_new,
            Err(error) => return report.broken_off(&name, error),
        };
        app.caches.show_changed(&ChangedShow { movie_id: show.draft.movie_id, show_id: show.id });
        let Ended { cancelled, left } = end_bookings(app, &show).await;
        report.logged(history::log_with_orders(app, by, &cancelled, "The show was cancelled.").await);
        if let Some(reason) = left.first() {
            let count = count_text(left.len() as i64, "booking or hold is", "bookings and holds are");
            report.not_done.push(format!("{name}: {count} not cancelled yet. Cancel the show again. ({reason})"));
        }
        if is_new || !cancelled.is_empty() {
            note(&mut report, &show, name, cancelled.len() as i64);
        } else if left.is_empty() {
            report.not_done.push(format!("{name}: this show is already cancelled."));
        }
    }
    Ok(report)
}

/// What happened to a show's bookings and holds.
struct Ended {
    /// The bookings that were cancelled.
    cancelled: Vec<i64>,
    /// Why others were not.
    left: Vec<String>,
}

async fn end_bookings(app: &App, show: &StoredShow) -> Ended {
    let mut ended = Ended { cancelled: Vec::new(), left: Vec::new() };
    for _ in 0..ROUNDS {
        ended.left.clear();
        let (bookings, holds) = match left_of_show(&app.db, show.id).await {
            Ok(found) => found,
            Err(error) => {
                ended.left.push(told(error.into()));
                break;
            }
        };
        for (act, ids) in [(StaffAction::CancelBooking, bookings), (StaffAction::Release, holds)] {
            for some in ids.chunks(TOGETHER) {
                for (id, outcome) in staff::for_each(&app.desk, act, None, some).await {
                    match outcome {
                        Ok(()) if act == StaffAction::CancelBooking => ended.cancelled.push(id),
                        Ok(()) => {}
                        Err(error) => ended.left.push(told(error)),
                    }
                }
            }
        }
        if ended.left.is_empty() {
            break;
        }
    }
    ended
}

/// Reports that a show was cancelled, with this number of bookings.
fn note(report: &mut Report, show: &StoredShow, name: String, cancelled: i64) {
    let field = |field: &str, before: &str, after: String| FieldChange {
        field: field.to_owned(),
        before: before.to_owned(),
        after,
    };
    let changes = vec![
        field("State", "Scheduled", "Cancelled".to_owned()),
        field("Bookings cancelled", "", cancelled.to_string()),
    ];
    if cancelled > 0 {
        let count = count_text(cancelled, "booking was cancelled", "bookings were cancelled");
        report.messages.push(format!("{name}: {count}."));
    }
    report.done.push((show.id, name, changes));
}
