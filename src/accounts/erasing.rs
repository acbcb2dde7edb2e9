//! A customer's personal data: everything that is stored, as JSON, and its erasure. The orders stay, under a pseudonym,
//! because the cinema must keep its accounts.

use futures_util::future::BoxFuture;
use serde_json::{Value as Json, json};

use super::store::{self, DataOfOrder};
use super::{Account, username};
use crate::admin::query::{erased, log};
use crate::admin::words::count_text;
use crate::admin::{Report, SaveError};
use crate::db::{DbError, Tx};
use crate::sessions::store as sessions;
use crate::state::App;
use crate::time::clock::{self, SECOND};

/// The most entries of the log about an account that its data contains.
const ENTRIES_MAX: i64 = 10_000;

/// Erases the personal data of these users.
pub async fn erase(app: &App, ids: &[i64]) -> Result<Report, SaveError> {
    let mut report = Report::default();
    for id in ids {
        let mut tx = app.db.begin().await?;
        match erase_one(&mut tx, *id).await {
            Ok(Erased::Done(pseudonym)) => {
                if let Err(error) = tx.commit().await {
                    return report.broken_off(&format!("User {id}"), error);
                }
                app.caches.users.changed(id);
                report.done.push((*id, pseudonym, Vec::new()));
            }
            Ok(Erased::Refused(why)) => report.not_done.push(why),
            Ok(Erased::Nothing) => {}
            Err(error) => return report.broken_off(&format!("User {id}"), error),
        }
    }
    Ok(report)
}

/// The most users about whom [`refusals`] asks.
const ASKED_MAX: usize = 50;

/// Says before the erasure how many of these users it will refuse.
pub fn refusals<'a>(app: &'a App, ids: &'a [i64]) -> BoxFuture<'a, Result<Vec<String>, DbError>> {
    Box::pin(async move {
        let (mut tx, now, mut coming) = (app.db.begin().await?, clock::now(), 0);
        for id in ids.iter().take(ASKED_MAX) {
            coming += i64::from(store::has_coming_seats(&mut tx, *id, now).await?);
        }
        let who = count_text(coming, "user has seats in a coming show", "users have seats in a coming show");
        Ok(if coming > 0 { vec![format!("{who} and won't be erased: cancel the seats first.")] } else { Vec::new() })
    })
}

enum Erased {
    /// The pseudonym.
    Done(String),
    Refused(String),
    /// There is no such user.
    Nothing,
}

async fn erase_one(tx: &mut Tx, id: i64) -> Result<Erased, DbError> {
    let Some(account) = store::account(tx, id).await? else { return Ok(Erased::Nothing) };
    let name = &account.username;
    if account.is_staff || account.is_superuser {
        return Ok(Erased::Refused(format!("{name}: this is a staff account. Remove the staff permissions first.")));
    }
    if store::has_coming_seats(tx, id, clock::now()).await? {
        return Ok(Erased::Refused(format!("{name} has seats in a coming show. Cancel them first.")));
    }
    let pseudonym = free_pseudonym(tx, id).await?;
    let after = Account { username: pseudonym.clone(), ..Account::default() };
    store::change_account(tx, id, &after, &username::key(&pseudonym)).await?;
    store::set_groups(tx, id, &[]).await?;
    store::forget_logins(tx, id, clock::now() / SECOND + 1).await?;
    sessions::end_all(tx, id).await?;
    let mut names = erased::erase_object(tx, "users", id, &pseudonym).await?;
    names.push(account.username);
    let (bookings, orders) = store::seats_and_orders(tx, id).await?;
    erased::erase_in_objects(tx, "bookings", &bookings, &names, &pseudonym).await?;
    for model in ["orders", "holds"] {
        erased::erase_in_objects(tx, model, &orders, &names, &pseudonym).await?;
    }
    // Ended holds are deleted, and so may orders have been.
    erased::erase_in_deleted(tx, "holds", &names, &pseudonym).await?;
    Ok(Erased::Done(pseudonym))
}

/// Returns a username that says nothing about the person, and that nobody has.
async fn free_pseudonym(tx: &mut Tx, id: i64) -> Result<String, DbError> {
    let mut pseudonym = format!("erased-{id}");
    while store::has_username(tx, &username::key(&pseudonym), id).await? {
        pseudonym.push('-');
    }
    Ok(pseudonym)
}

/// Returns everything that is stored about a user.
pub fn data(app: &App, id: i64) -> BoxFuture<'_, Result<Option<Json>, DbError>> {
    Box::pin(async move {
        let mut tx = app.db.begin().await?;
        let (account, times) = (store::account(&mut tx, id).await?, store::times(&mut tx, id).await?);
        drop(tx);
        let (Some(account), Some((joined, last_login))) = (account, times) else { return Ok(None) };
        let codes = app.order_codes().await?;
        let orders = store::data_of_orders(&app.db, id).await?;
        let entries = log::of_object(&app.db, "users", id, i64::MAX, ENTRIES_MAX).await?;
        let entry =
            |entry: log::Entry| json!({"at": clock::iso(entry.at), "action": entry.action, "changes": entry.changes});
        Ok(Some(json!({
            "account": {
                "id": id,
                "username": account.username,
                "email": account.email,
                "first_name": account.first_name,
                "last_name": account.last_name,
                "is_active": account.is_active,
                "joined": clock::iso(joined),
                "last_login": last_login.map(clock::iso),
            },
            "orders": orders.into_iter().map(|order| of_order(&codes.of(order.id), order)).collect::<Vec<_>>(),
            "changes_of_the_account": entries.into_iter().map(entry).collect::<Vec<_>>(),
        })))
    })
}

fn of_order(code: &str, order: DataOfOrder) -> Json {
    json!({
        "code": code,
        "status": order.status,
        "created_at": clock::iso(order.created_at),
        "movie": order.movie_title,
        "screen": order.screen_name,
        "begins": clock::iso(order.date_time),
        "seat": order.seat,
        "seat_status": order.seat_status,
        "cancelled_at": order.cancelled_at.map(clock::iso),
    })
}
