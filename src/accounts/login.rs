//! Checks passwords.

use super::{store, username};
use crate::identity::AccountError;
use crate::identity::client::WaitingClient;
use crate::identity::hashing::{self, Verdict};
use crate::identity::password_queue::Purpose;
use crate::state::App;

/// Returns the active account with this username and password. Failures are counted per account and network; after too
/// many, attempts are refused without checking the password. An outdated hash is replaced.
///
/// # Errors
/// L04, L06, L07, [`AccountError::Throttled`], [`AccountError::Busy`].
pub async fn check_password(
    app: &App,
    username: &str,
    password: &str,
    client: &WaitingClient,
) -> Result<store::Credentials, AccountError> {
    // No account has a longer name, and computing its key would cost time and memory.
    let is_too_long = username.chars().count() > username::MAX_CHARS;
    let key = if is_too_long { String::new() } else { username::key(username) };
    app.throttle.check_network(client.address).map_err(AccountError::Throttled)?;
    let found = store::credentials(&app.db, &key).await?;
    let account = (key.clone(), found.as_ref().map_or(0, |account| account.tokens_valid_from));
    app.throttle.check_account(&account, client.address).map_err(AccountError::Throttled)?;
    let turn = app.passwords.turn(Purpose::Login, client).await?;
    let attempt = app.throttle.attempt(account, client.address).await.map_err(AccountError::Throttled)?;
    // Checking an unknown user takes as long as a known one, so that the time doesn't reveal which names exist.
    let encoded = found.as_ref().map_or(hashing::dummy_hash(), |account| &account.password).to_owned();
    let (given, is_active) = (password.to_owned(), found.as_ref().is_some_and(|account| account.is_active));
    let compared = turn.run(move || {
        let verdict = hashing::verify(&given, &encoded);
        (verdict, (is_active && verdict == Verdict::RightButOld).then(|| hashing::hash(&given)))
    });
    let (verdict, renewed) = compared.await?;
    match found {
        Some(account) if account.is_active && verdict != Verdict::Wrong => {
            attempt.succeeded();
            Ok(match renewed {
                Some(hash) => renew_hash(app, account, &key, hash).await,
                None => account,
            })
        }
        _ => {
            attempt.failed();
            Err(AccountError::WrongCredentials)
        }
    }
}

/// Replaces an outdated hash. If that fails, the login still succeeds, and the next one tries again.
async fn renew_hash(app: &App, account: store::Credentials, key: &str, hash: String) -> store::Credentials {
    match store::replace_hash(&app.db, account.id, &account.password, &hash).await {
        Ok(true) => store::Credentials { password: hash, ..account },
        // Either another login replaced the hash first, or the password was changed. If it was changed, the old hash is
        // returned, which no longer gives access to anything.
        Ok(false) => match store::credentials(&app.db, key).await {
            Ok(Some(now)) if now.tokens_valid_from == account.tokens_valid_from => now,
            _ => account,
        },
        Err(error) => {
            tracing::warn!(%error, "an outdated password hash was not replaced");
            account
        }
    }
}
