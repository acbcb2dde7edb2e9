//! The SQL of users.

use std::collections::HashMap;

use super::Account;
use crate::db::{Db, FromRow, Query, Result, Row, Statement, Tx, Value};
use crate::identity::{Known, User};
use crate::search::{self, store as words};

/// The fields of an account that a login needs.
pub struct Credentials {
    pub id: i64,
    pub is_active: bool,
    pub is_staff: bool,
    /// The password's hash.
    pub password: String,
    /// See [`Known::tokens_valid_from`].
    pub tokens_valid_from: i64,
}

impl FromRow for Credentials {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(Credentials {
            id: row.take()?,
            is_active: row.take()?,
            is_staff: row.take()?,
            password: row.take()?,
            tokens_valid_from: row.take()?,
        })
    }
}

/// Returns the users with these ids.
pub async fn by_ids(db: &Db, ids: Vec<i64>) -> Result<HashMap<i64, Option<Known>>> {
    let ids: Vec<(i64,)> = ids.into_iter().map(|id| (id,)).collect();
    let (in_order, asked) = (db.dialect().in_order(), db.dialect().table(&[("id", "BIGINT")]));
    let sql = format!(
        "SELECT {in_order} u.id, u.username, u.email, u.is_active, u.tokens_valid_from
         FROM {asked} AS d JOIN users u ON u.id = d.id"
    );
    let found: Vec<(i64, String, String, bool, i64)> = db.query(&sql, vec![Value::list(&ids)]).await?;
    let known = |(id, username, email, is_active, tokens_valid_from)| {
        (id, Some(Known { user: User { id, username, email }, is_active, tokens_valid_from }))
    };
    Ok(found.into_iter().map(known).collect())
}

/// Returns the account with this username key.
pub async fn credentials(db: &Db, key: &str) -> Result<Option<Credentials>> {
    let sql = "SELECT id, is_active, is_staff, password, tokens_valid_from FROM users WHERE username_key = ?";
    db.query_one(sql, vec![key.into()]).await
}

/// Adds an account with its search words, and returns its id.
pub async fn insert(
    db: &Db,
    username: &str,
    key: &str,
    email: &str,
    password: &str,
    is_superuser: bool,
    now: i64,
) -> Result<i64> {
    let account = Statement::new(
        "INSERT INTO users (username, username_key, email, password, is_active, is_staff, is_superuser, date_joined,
                                words_version)
             VALUES (?, ?, ?, ?, 1, ?, ?, ?, 1)",
        vec![
            username.into(),
            key.into(),
            email.into(),
            password.into(),
            is_superuser.into(),
            is_superuser.into(),
            now.into(),
        ],
    );
    let words = words::adding(db.dialect(), &search::USERS, &[username, email], "username_key", key.into());
    let done = db.write(vec![account, words]).await?;
    Ok(done[0].inserted_id())
}

/// Writes a new hash of the same password if the stored hash is still `old`; returns whether it was written. The
/// version stays the same, since nothing that a form shows has changed.
pub async fn replace_hash(db: &Db, id: i64, old: &str, new: &str) -> Result<bool> {
    let sql = "UPDATE users SET password = ? WHERE id = ? AND password = ?";
    let done = db.execute(sql, vec![new.into(), id.into(), old.into()]).await?;
    Ok(done.changed == 1)
}

/// Sets a new password, given as its hash, and the second from which tokens are valid. That second never moves
/// backwards, even if the clock was set back. The version stays the same, since nothing that a form shows has changed.
pub async fn set_password(tx: &mut Tx, id: i64, hash: &str, tokens_valid_from: i64) -> Result<()> {
    let sql = "UPDATE users
               SET password = ?, tokens_valid_from = CASE WHEN tokens_valid_from < ? THEN ? ELSE tokens_valid_from END
               WHERE id = ?";
    tx.execute(sql, vec![hash.into(), tokens_valid_from.into(), tokens_valid_from.into(), id.into()]).await?;
    Ok(())
}

/// Like [`set_password`], if the account is active and its hash and its second are still those; returns whether it was
/// written.
pub async fn change_password(tx: &mut Tx, old: &Credentials, hash: &str, tokens_valid_from: i64) -> Result<bool> {
    let sql = "UPDATE users SET password = ?, tokens_valid_from = ?
               WHERE id = ? AND is_active = 1 AND password = ? AND tokens_valid_from = ?";
    let (password, valid_from) = ((&old.password).into(), old.tokens_valid_from.into());
    let done =
        tx.execute(sql, vec![hash.into(), tokens_valid_from.into(), old.id.into(), password, valid_from]).await?;
    Ok(done.changed == 1)
}

/// Sets the second from which tokens are valid; it never moves backwards.
pub async fn end_tokens(tx: &mut Tx, id: i64, valid_from: i64) -> Result<()> {
    let sql = "UPDATE users SET tokens_valid_from = ? WHERE id = ? AND tokens_valid_from < ?";
    tx.execute(sql, vec![valid_from.into(), id.into(), valid_from.into()]).await.map(drop)
}

/// Writes the e-mail address of an account, with its search words, if the account is active and its hash is still
/// `password`; returns whether it was written.
pub async fn change_email(tx: &mut Tx, id: i64, password: &str, account: &Account) -> Result<bool> {
    let sql = "UPDATE users SET email = ?, words_version = version + 1, version = version + 1
               WHERE id = ? AND is_active = 1 AND password = ?";
    let done = tx.execute(sql, vec![(&account.email).into(), id.into(), password.into()]).await?;
    if done.changed == 1 {
        words::put(tx, &search::USERS, id, &texts(account)).await?;
    }
    Ok(done.changed == 1)
}

/// Activates or deactivates an account. The tokens of a deactivated account are refused. Returns whether the account
/// exists.
pub async fn set_active(db: &Db, key: &str, is_active: bool) -> Result<bool> {
    // The words stay as they are, with the version that they belong to.
    let sql = "UPDATE users SET is_active = ?,
                   words_version = CASE WHEN words_version = version THEN version + 1 END, version = version + 1
               WHERE username_key = ?";
    let done = db.execute(sql, vec![i64::from(is_active).into(), key.into()]).await?;
    Ok(done.changed == 1)
}

const ACCOUNT: &str = "SELECT username, email, first_name, last_name, is_active, is_staff, is_superuser FROM users";

impl FromRow for Account {
    /// Leaves `groups` empty.
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(Account {
            username: row.take()?,
            email: row.take()?,
            first_name: row.take()?,
            last_name: row.take()?,
            is_active: row.take()?,
            is_staff: row.take()?,
            is_superuser: row.take()?,
            groups: Vec::new(),
        })
    }
}

/// Returns an account with its groups, locked until the transaction ends.
pub async fn account(tx: &mut Tx, id: i64) -> Result<Option<Account>> {
    let sql = format!("{ACCOUNT} WHERE id = ?{}", tx.dialect().for_update());
    let Some(account) = tx.query_one::<Account>(&sql, vec![id.into()]).await? else { return Ok(None) };
    let groups: Vec<(i64,)> =
        tx.query("SELECT group_id FROM group_members WHERE user_id = ? ORDER BY group_id", vec![id.into()]).await?;
    Ok(Some(Account { groups: groups.into_iter().map(|(id,)| id).collect(), ..account }))
}

/// Returns the ids of the active superusers, locked until the transaction ends.
pub async fn lock_superusers(tx: &mut Tx) -> Result<Vec<i64>> {
    let sql = format!(
        "SELECT id FROM users WHERE is_staff = 1 AND is_superuser = 1 AND is_active = 1{}",
        tx.dialect().for_update()
    );
    let found: Vec<(i64,)> = tx.query(&sql, vec![]).await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// Returns the values of an account's editable columns, in the order of the statements below.
fn edited(account: &Account, key: &str) -> Vec<Value> {
    vec![
        (&account.username).into(),
        key.into(),
        (&account.email).into(),
        (&account.first_name).into(),
        (&account.last_name).into(),
        account.is_active.into(),
        account.is_staff.into(),
        account.is_superuser.into(),
    ]
}

/// Adds an account with its search words, but without its groups, and returns its id.
pub async fn add_account(tx: &mut Tx, account: &Account, key: &str, password: &str, now: i64) -> Result<i64> {
    let mut params = edited(account, key);
    params.extend([password.into(), now.into()]);
    let sql = "INSERT INTO users (username, username_key, email, first_name, last_name, is_active, is_staff,
                                  is_superuser, password, date_joined, words_version)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)";
    let id = tx.insert(sql, params).await?;
    words::put(tx, &search::USERS, id, &texts(account)).await?;
    Ok(id)
}

/// Returns the texts of [`search::USERS`].
fn texts(account: &Account) -> [&str; 4] {
    [&account.username, &account.email, &account.first_name, &account.last_name]
}

/// Changes an account and its search words, but not its groups.
pub async fn change_account(tx: &mut Tx, id: i64, account: &Account, key: &str) -> Result<()> {
    let mut params = edited(account, key);
    params.push(id.into());
    tx.execute(
        "UPDATE users SET username = ?, username_key = ?, email = ?, first_name = ?, last_name = ?, is_active = ?,
                          is_staff = ?, is_superuser = ?, words_version = version + 1, version = version + 1
         WHERE id = ?",
        params,
    )
    .await?;
    words::put(tx, &search::USERS, id, &texts(account)).await
}

/// Removes what a user logs in with. Tokens are valid from this second, so that none is.
pub async fn forget_logins(tx: &mut Tx, id: i64, tokens_valid_from: i64) -> Result<()> {
    set_password(tx, id, "!", tokens_valid_from).await?;
    tx.execute("UPDATE users SET last_login = NULL WHERE id = ?", vec![id.into()]).await?;
    Ok(())
}

/// Checks whether another user has this username key.
pub async fn has_username(tx: &mut Tx, key: &str, except: i64) -> Result<bool> {
    let sql = "SELECT id FROM users WHERE username_key = ? AND id <> ?";
    Ok(tx.query_one::<(i64,)>(sql, vec![key.into(), except.into()]).await?.is_some())
}

/// Checks whether a user has booked or held a seat in a show that begins after this time.
pub async fn has_coming_seats(tx: &mut Tx, id: i64, now: i64) -> Result<bool> {
    let sql = format!(
        "SELECT b.id FROM bookings b JOIN shows s ON s.id = b.show_id LEFT JOIN orders o ON o.id = b.order_id
         WHERE b.user_id = ? AND s.date_time > ?
         AND (b.status = 'booked' OR b.status = 'held' AND o.expires_at > {}) LIMIT 1",
        tx.dialect().now_or("?")
    );
    Ok(tx.query_one::<(i64,)>(&sql, vec![id.into(), now.into(), now.into()]).await?.is_some())
}

/// Returns the ids of a user's bookings, and of the user's orders and holds.
pub async fn seats_and_orders(tx: &mut Tx, id: i64) -> Result<(Vec<i64>, Vec<i64>)> {
    let bookings: Vec<(i64,)> = tx.query("SELECT id FROM bookings WHERE user_id = ?", vec![id.into()]).await?;
    let orders = "SELECT order_id FROM bookings WHERE user_id = ? AND order_id IS NOT NULL
                  UNION SELECT id FROM orders WHERE indexed_user = ?";
    let orders: Vec<(i64,)> = tx.query(orders, vec![id.into(), id.into()]).await?;
    let ids = |rows: Vec<(i64,)>| rows.into_iter().map(|(id,)| id).collect();
    Ok((ids(bookings), ids(orders)))
}

/// Returns when a user joined and when the last login to the panel was.
pub async fn times(tx: &mut Tx, id: i64) -> Result<Option<(i64, Option<i64>)>> {
    tx.query_one("SELECT date_joined, last_login FROM users WHERE id = ?", vec![id.into()]).await
}

/// A seat of an order or of a hold, as the data of its owner has it.
pub struct DataOfOrder {
    /// The id of the order.
    pub id: i64,
    pub status: String,
    pub created_at: i64,
    pub movie_title: String,
    pub screen_name: String,
    pub date_time: i64,
    pub seat: Option<i64>,
    pub seat_status: Option<String>,
    pub cancelled_at: Option<i64>,
}

impl FromRow for DataOfOrder {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(DataOfOrder {
            id: row.take()?,
            status: row.take()?,
            created_at: row.take()?,
            movie_title: row.take()?,
            screen_name: row.take()?,
            date_time: row.take()?,
            seat: row.take()?,
            seat_status: row.take()?,
            cancelled_at: row.take()?,
        })
    }
}

/// Returns the orders and holds of a user, seat by seat.
pub async fn data_of_orders(db: &Db, user_id: i64) -> Result<Vec<DataOfOrder>> {
    db.query(
        "SELECT o.id, o.status, o.created_at, m.title, c.name, s.date_time, b.seat_number, b.status, b.cancelled_at
         FROM (SELECT order_id AS id FROM bookings WHERE user_id = ? AND order_id IS NOT NULL
               UNION SELECT id FROM orders WHERE indexed_user = ?) own
         JOIN orders o ON o.id = own.id JOIN shows s ON s.id = o.show_id JOIN movies m ON m.id = s.movie_id
         JOIN screens c ON c.id = s.screen_id LEFT JOIN bookings b ON b.order_id = o.id
         ORDER BY o.created_at, o.id, b.seat_number, b.id",
        vec![user_id.into(), user_id.into()],
    )
    .await
}

/// A user in a list of all.
pub struct ListedUser {
    pub id: i64,
    pub username: String,
    pub email: String,
    pub is_active: bool,
    pub is_staff: bool,
    pub is_superuser: bool,
}

impl FromRow for ListedUser {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(ListedUser {
            id: row.take()?,
            username: row.take()?,
            email: row.take()?,
            is_active: row.take()?,
            is_staff: row.take()?,
            is_superuser: row.take()?,
        })
    }
}

/// Returns at most `limit` users with ids above `after`, by id; only staff, or only inactive users, if asked.
pub async fn users(db: &Db, after: i64, limit: i64, staff_only: bool, inactive_only: bool) -> Result<Vec<ListedUser>> {
    let staff = if staff_only { " AND (is_staff = 1 OR is_superuser = 1)" } else { "" };
    let inactive = if inactive_only { " AND is_active = 0" } else { "" };
    let sql = format!(
        "SELECT id, username, email, is_active, is_staff, is_superuser FROM users
         WHERE id > ?{staff}{inactive} ORDER BY id LIMIT ?"
    );
    db.query(&sql, vec![after.into(), limit.into()]).await
}

/// Makes someone a member of these groups and no others.
pub async fn set_groups(tx: &mut Tx, id: i64, groups: &[i64]) -> Result<()> {
    tx.execute("DELETE FROM group_members WHERE user_id = ?", vec![id.into()]).await?;
    for group in groups {
        let row = vec![id.into(), (*group).into()];
        tx.execute("INSERT INTO group_members (user_id, group_id) VALUES (?, ?)", row).await?;
    }
    Ok(())
}

/// Adds a group, or changes the one with this id; returns its id.
pub async fn put_group(tx: &mut Tx, id: Option<i64>, name: &str, permissions: &[String]) -> Result<i64> {
    let id = match id {
        Some(id) => {
            let changed =
                "UPDATE staff_groups SET name = ?, words_version = version + 1, version = version + 1 WHERE id = ?";
            tx.execute(changed, vec![name.into(), id.into()]).await?;
            tx.execute("DELETE FROM group_permissions WHERE group_id = ?", vec![id.into()]).await?;
            id
        }
        None => tx.insert("INSERT INTO staff_groups (name, words_version) VALUES (?, 1)", vec![name.into()]).await?,
    };
    words::put(tx, &search::GROUPS, id, &[name]).await?;
    for permission in permissions {
        let row = vec![id.into(), permission.into()];
        tx.execute("INSERT INTO group_permissions (group_id, permission) VALUES (?, ?)", row).await?;
    }
    Ok(id)
}

/// Returns the members of a group: id and username, with the group's name.
pub async fn members(tx: &mut Tx, group: i64) -> Result<Vec<(i64, String, String)>> {
    tx.query(
        "SELECT u.id, u.username, g.name
         FROM staff_groups g JOIN group_members m ON m.group_id = g.id JOIN users u ON u.id = m.user_id
         WHERE g.id = ? ORDER BY u.id",
        vec![group.into()],
    )
    .await
}

/// Deletes a group with its memberships and permissions.
pub async fn delete_group(tx: &mut Tx, id: i64) -> Result<()> {
    for sql in [
        "DELETE FROM group_members WHERE group_id = ?",
        "DELETE FROM group_permissions WHERE group_id = ?",
        "DELETE FROM staff_groups WHERE id = ?",
    ] {
        tx.execute(sql, vec![id.into()]).await?;
    }
    words::remove(tx, &search::GROUPS, id).await
}
