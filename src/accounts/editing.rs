//! Editing of accounts and groups by staff, and the rules that keep staff from giving themselves more permissions.

use super::{Account, email, password_rules, store, username};
use crate::db::{Db, DbError, Tx};
use crate::sessions::store as sessions;
use crate::time::clock::{self, SECOND};
use crate::web::html::forms::SaveError;

/// The member of staff who edits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Editor {
    pub id: i64,
    pub is_superuser: bool,
}

fn refused<T>(field: &'static str, text: &str) -> Result<T, SaveError> {
    Err(SaveError::fault(field, text))
}

const FOR_SUPERUSERS: &str = "Only a superuser can change this.";

/// Returns why the account `before`, given with its id, can't be changed to `after`. Without `before`, `after` is new.
fn faults(editor: Editor, before: Option<(i64, &Account)>, after: &Account) -> Vec<(&'static str, String)> {
    let mut faults: Vec<(&'static str, String)> = Vec::new();
    let new = Account::default();
    let (id, was) = before.unwrap_or((0, &new));
    // What an earlier rule or another program accepted is judged only when someone changes it.
    if before.is_none() || was.username != after.username {
        faults.extend(username::faults(&after.username).into_iter().map(|fault| ("username", fault.to_owned())));
    }
    if before.is_none() || was.email != after.email {
        faults.extend(email::faults(&after.email).into_iter().map(|fault| ("email", fault.to_owned())));
    }
    if !editor.is_superuser {
        if was.is_staff || was.is_superuser {
            faults.push(("", "Only a superuser can change staff accounts.".to_owned()));
        }
        for (field, is_changed) in [
            ("is_staff", was.is_staff != after.is_staff),
            ("is_superuser", was.is_superuser != after.is_superuser),
            ("groups", was.groups != after.groups),
        ] {
            faults.extend(is_changed.then(|| (field, FOR_SUPERUSERS.to_owned())));
        }
    }
    if id == editor.id {
        for (field, is_lost, text) in [
            ("is_active", was.is_active && !after.is_active, "You can't deactivate yourself."),
            ("is_staff", was.is_staff && !after.is_staff, "You can't remove this from yourself."),
            ("is_superuser", was.is_superuser && !after.is_superuser, "You can't remove this from yourself."),
        ] {
            faults.extend(is_lost.then(|| (field, text.to_owned())));
        }
    }
    faults
}

/// Adds an account. `password` is the plain password and its hash.
///
/// # Errors
/// [`SaveError::Faults`] if a field is invalid, or if the editor may not give a permission.
pub async fn add(tx: &mut Tx, editor: Editor, account: &Account, password: (&str, &str)) -> Result<i64, SaveError> {
    let (password, hash) = password;
    let mut faults = faults(editor, None, account);
    let rules = password_rules::faults(password, &account.username, &account.email);
    faults.extend(rules.into_iter().map(|fault| ("password", fault)));
    if !faults.is_empty() {
        return Err(SaveError::Faults(faults));
    }
    let account = normal(account);
    let id = taken(store::add_account(tx, &account, &username::key(&account.username), hash, clock::now()).await)?;
    store::set_groups(tx, id, &account.groups).await?;
    Ok(id)
}

/// Changes an account. A user who is deactivated, or no longer staff, is logged out of the panel.
///
/// # Errors
/// [`SaveError::Faults`] if a field is invalid, if the editor may not change it, or if no superuser would be left.
pub async fn change(tx: &mut Tx, editor: Editor, id: i64, after: &Account) -> Result<(), SaveError> {
    let Some(before) = store::account(tx, id).await? else { return refused("", "This account no longer exists.") };
    let faults = faults(editor, Some((id, &before)), after);
    if !faults.is_empty() {
        return Err(SaveError::Faults(faults));
    }
    let mut after = normal(after);
    if after.username == username::normalise(&before.username) {
        before.username.clone_into(&mut after.username);
    }
    if after.email == email::normalise(&before.email) {
        before.email.clone_into(&mut after.email);
    }
    // Usually the editor remains, but two superusers may be removing each other at the same time.
    let is_lost = before.is_active_superuser() && !after.is_active_superuser();
    if is_lost && !store::lock_superusers(tx).await?.iter().any(|other| *other != id) {
        return refused("", "This is the last superuser. Make another user a superuser first.");
    }
    taken(store::change_account(tx, id, &after, &username::key(&after.username)).await)?;
    if before.groups != after.groups {
        store::set_groups(tx, id, &after.groups).await?;
    }
    if before.is_active && !after.is_active || before.is_staff && !after.is_staff {
        sessions::end_all(tx, id).await?;
    }
    Ok(())
}

/// Sets a new password for a user and ends their sessions in the panel.
///
/// # Errors
/// [`SaveError::Faults`] if the password is too weak, or if the editor may not change the account.
pub async fn set_password(tx: &mut Tx, editor: Editor, id: i64, password: &str, hash: &str) -> Result<(), SaveError> {
    let Some(account) = store::account(tx, id).await? else { return refused("", "This account no longer exists.") };
    if (account.is_staff || account.is_superuser) && !editor.is_superuser {
        return refused("", "Only a superuser can change staff accounts.");
    }
    let faults = password_rules::faults(password, &account.username, &account.email);
    if !faults.is_empty() {
        return Err(SaveError::Faults(faults.into_iter().map(|fault| ("password", fault)).collect()));
    }
    Ok(replace_password(tx, id, hash).await?)
}

/// Sets a new password, given as its hash, and ends everything that was started with the old one: sessions in the
/// panel, and tokens issued before the next full second, since tokens count in seconds. The caller must invalidate the
/// user in [`crate::state::Caches`].
///
/// # Errors
/// [`DbError`].
pub async fn replace_password(tx: &mut Tx, id: i64, hash: &str) -> Result<(), DbError> {
    store::set_password(tx, id, hash, clock::now() / SECOND + 1).await?;
    sessions::end_all(tx, id).await
}

/// Changes the password of a user who has just given the old one, as [`replace_password`] does. Returns the second from
/// which the user's tokens are valid; `None` if the password was changed, the user logged out everywhere, or the account
/// was deactivated since the old one was compared. The caller must invalidate the user in [`crate::state::Caches`].
///
/// # Errors
/// [`DbError`].
pub async fn change_own_password(db: &Db, account: &store::Credentials, hash: &str) -> Result<Option<i64>, DbError> {
    // Written only if the second is still the one that was read, so it never moves backwards.
    let valid_from = account.tokens_valid_from.max(clock::now() / SECOND + 1);
    let mut tx = db.begin().await?;
    if !store::change_password(&mut tx, account, hash, valid_from).await? {
        return Ok(None);
    }
    sessions::end_all(&mut tx, account.id).await?;
    tx.commit().await?;
    Ok(Some(valid_from))
}

/// Changes the e-mail address of a user who has just given the password. Returns the address as it is stored; `None` if
/// the password was changed or the account deactivated since it was compared. The caller must invalidate the user in
/// [`crate::state::Caches`].
///
/// # Errors
/// [`DbError`].
pub async fn change_own_email(db: &Db, own: &store::Credentials, email: &str) -> Result<Option<String>, DbError> {
    let mut tx = db.begin().await?;
    let Some(before) = store::account(&mut tx, own.id).await? else { return Ok(None) };
    let after = Account { email: email::normalise(email), ..before };
    if !store::change_email(&mut tx, own.id, &own.password, &after).await? {
        return Ok(None);
    }
    tx.commit().await?;
    Ok(Some(after.email))
}

/// Ends all sessions and tokens of a user, as a new password does. The caller must invalidate the user in
/// [`crate::state::Caches`].
///
/// # Errors
/// [`DbError`].
pub async fn log_out_everywhere(db: &Db, id: i64) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    store::end_tokens(&mut tx, id, clock::now() / SECOND + 1).await?;
    sessions::end_all(&mut tx, id).await?;
    tx.commit().await
}

fn normal(account: &Account) -> Account {
    Account {
        username: username::normalise(&account.username),
        email: email::normalise(&account.email),
        ..account.clone()
    }
}

fn taken<T>(done: Result<T, DbError>) -> Result<T, SaveError> {
    match done {
        Err(DbError::Unique(key)) if key == "one_account_per_username" => {
            refused("username", "A user with that username already exists.")
        }
        Err(DbError::Unique(key)) if key == "one_group_per_name" => {
            refused("name", "A group with this name already exists.")
        }
        done => Ok(done?),
    }
}

/// Adds a group, or changes the one with this id. Permissions are written like `movies.change`.
///
/// # Errors
/// [`SaveError::Faults`] unless the editor is a superuser: staff who can change a group could give themselves any
/// permission.
pub async fn put_group(
    tx: &mut Tx,
    editor: Editor,
    id: Option<i64>,
    name: &str,
    permissions: &[String],
) -> Result<i64, SaveError> {
    if !editor.is_superuser {
        return refused("", "Only a superuser can change groups.");
    }
    taken(store::put_group(tx, id, name, permissions).await)
}

/// Deletes a group and returns its members, who lose its permissions: id and username, with the group's name.
///
/// # Errors
/// [`SaveError::Faults`] unless the editor is a superuser.
pub async fn delete_group(tx: &mut Tx, editor: Editor, id: i64) -> Result<Vec<(i64, String, String)>, SaveError> {
    if !editor.is_superuser {
        return refused("", "Only a superuser can change groups.");
    }
    let members = store::members(tx, id).await?;
    store::delete_group(tx, id).await?;
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOSS: Editor = Editor { id: 1, is_superuser: true };
    const CLERK: Editor = Editor { id: 2, is_superuser: false };

    fn customer() -> Account {
        Account {
            username: "ann".to_owned(),
            email: "ann@example.com".to_owned(),
            is_active: true,
            ..Account::default()
        }
    }

    fn clerk() -> Account {
        Account { username: "clerk".to_owned(), is_staff: true, groups: vec![1], ..customer() }
    }

    fn boss() -> Account {
        Account { username: "boss".to_owned(), is_staff: true, is_superuser: true, ..customer() }
    }

    /// Returns the fields that are refused.
    fn refused(editor: Editor, before: Option<(i64, &Account)>, after: &Account) -> Vec<&'static str> {
        faults(editor, before, after).into_iter().map(|(field, _)| field).collect()
    }

    #[test]
    fn staff_can_only_change_customers() {
        let ann = customer();
        let renamed =
            Account { first_name: "Ann".to_owned(), email: "a@example.com".to_owned(), is_active: false, ..customer() };
        assert_eq!(refused(CLERK, Some((7, &ann)), &renamed), [""; 0]);
        assert_eq!(refused(CLERK, None, &ann), [""; 0]);
        for other in [clerk(), boss()] {
            assert_eq!(
                refused(CLERK, Some((8, &other)), &Account { first_name: "X".to_owned(), ..other.clone() }),
                [""]
            );
        }
        // Not themselves either.
        assert_eq!(refused(CLERK, Some((2, &clerk())), &Account { groups: vec![1, 2], ..clerk() }), ["", "groups"]);
    }

    #[test]
    fn only_superusers_give_permissions() {
        let all = Account { is_staff: true, is_superuser: true, groups: vec![3], ..customer() };
        let given = ["is_staff", "is_superuser", "groups"];
        assert_eq!(refused(CLERK, Some((7, &customer())), &all), given);
        assert_eq!(refused(CLERK, None, &all), given);
        assert_eq!(refused(BOSS, Some((7, &customer())), &all), [""; 0]);
        assert_eq!(refused(BOSS, None, &all), [""; 0]);
    }

    #[test]
    fn nobody_locks_themselves_out() {
        let off = Account { is_active: false, is_staff: false, is_superuser: false, ..boss() };
        assert_eq!(refused(BOSS, Some((1, &boss())), &off), ["is_active", "is_staff", "is_superuser"]);
        assert_eq!(refused(BOSS, Some((3, &boss())), &off), [""; 0]);
    }

    #[test]
    fn old_names_and_addresses_are_not_judged_again() {
        let old = Account { username: "jane doe".to_owned(), email: String::new(), ..customer() };
        let off = Account { first_name: "Jane".to_owned(), is_active: false, ..old.clone() };
        assert_eq!(refused(BOSS, Some((7, &old)), &off), [""; 0]);
        let renamed = Account { username: "jane  doe".to_owned(), email: "nowhere".to_owned(), ..off };
        assert_eq!(refused(BOSS, Some((7, &old)), &renamed), ["username", "email"]);
    }

    #[test]
    fn names_and_addresses_follow_the_rules_of_signup() {
        let bad = Account { username: "a b".to_owned(), email: "nowhere".to_owned(), ..customer() };
        assert_eq!(refused(BOSS, Some((7, &customer())), &bad), ["username", "email"]);
    }
}
