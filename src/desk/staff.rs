//! Actions of staff on many bookings, orders or holds.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::Desk;
use super::command::StaffAction;
use super::error::BookingError;
use super::ledger::AtTill;

/// Requests this action for each id. Requests for the same show are mostly decided and written together.
pub async fn for_each(
    desk: &Desk,
    action: StaffAction,
    till: Option<AtTill>,
    ids: &[i64],
) -> Vec<(i64, Result<(), BookingError>)> {
    let present = Arc::new(());
    let mut asked = JoinSet::new();
    for id in ids.iter().copied() {
        let (desk, client) = (desk.clone(), Arc::downgrade(&present));
        asked.spawn(async move { (id, desk.by_staff(action, id, till, client).await) });
    }
    let mut outcomes = asked.join_all().await;
    outcomes.sort_unstable_by_key(|(id, _)| *id);
    outcomes
}
