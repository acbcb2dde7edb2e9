//! What would hurt in production.

use secrecy::ExposeSecret;

use super::{Failure, advice, open_existing};
use crate::booking;
use crate::config::Config;
use crate::data::sample;
use crate::db::MigrationState;

/// Shorter secrets can be found by trying.
const SECRET_CHARACTERS: usize = 50;

/// Prints one line per finding; fails when one is bad.
pub async fn check(config: &Config) -> Result<(), Failure> {
    let mut findings: Vec<Result<&str, String>> = vec![Ok("the settings can be read")];
    findings.push(secret(config));
    findings.push(if config.debug { Err("DEBUG is on".into()) } else { Ok("DEBUG is off") });
    findings.push(Ok(hosts(config)));
    let mut unreachable = None;
    match open_existing(config) {
        Err(error) => {
            let none = matches!(error, Failure::NoDatabase(_));
            findings.push(Err(if none { "there is no database" } else { "the database does not answer" }.into()));
            unreachable = Some(error);
        }
        Ok(db) => match db.migration_state().await {
            Err(error) => {
                findings.push(Err("the database does not answer".into()));
                unreachable = Some(error.into());
            }
            Ok(MigrationState::Current) => {
                findings.push(Ok("the database answers and is up to date"));
                let wrong = booking::store::shows_with_wrong_counts(&db).await?;
                findings.push(if wrong.is_empty() {
                    Ok("each show counts its taken seats right")
                } else {
                    Err(format!("these shows count their taken seats wrong: {wrong:?}"))
                });
                let public = sample::public_accounts(&db).await?;
                findings.push(if public.is_empty() {
                    Ok("no account has a password of the sample data")
                } else {
                    let names = public.join(" and ");
                    Err(format!(
                        "anyone can log in as {names}: the password is the sample data's, which is public. \
                         Run `marquee deactivate-user NAME`, or `marquee changepassword NAME`"
                    ))
                });
            }
            Ok(state) => findings.push(Err(advice(&state))),
        },
    }
    let bad = findings.iter().filter(|finding| finding.is_err()).count();
    for finding in findings {
        match finding {
            Ok(text) => println!("ok    {text}"),
            Err(text) => println!("WRONG {text}"),
        }
    }
    match (bad, unreachable) {
        (0, _) => Ok(()),
        (_, Some(failure)) => Err(failure),
        _ => Err(Failure::Refused(format!("{bad} to mend."))),
    }
}

/// What an operator may not have meant; both are right for some.
fn hosts(config: &Config) -> &'static str {
    let hosts = &config.allowed_hosts;
    let is_local = |host: &String| matches!(host.as_str(), "localhost" | ".localhost" | "127.0.0.1" | "[::1]");
    if hosts.iter().any(|host| host == "*") {
        "every Host is answered, since ALLOWED_HOSTS has *"
    } else if hosts.iter().all(is_local) {
        "only requests to localhost are answered: ALLOWED_HOSTS names no other host"
    } else {
        "ALLOWED_HOSTS names the hosts that are answered"
    }
}

fn secret(config: &Config) -> Result<&'static str, String> {
    let Some(key) = &config.secret_key else { return Err("SECRET_KEY is not set".into()) };
    let key = key.expose_secret();
    let mut different: Vec<char> = key.chars().collect();
    different.sort_unstable();
    different.dedup();
    if key.chars().count() < SECRET_CHARACTERS || different.len() < 5 || key.starts_with("django-insecure-") {
        return Err(format!("SECRET_KEY is weak: it needs {SECRET_CHARACTERS} random characters"));
    }
    Ok("SECRET_KEY is strong")
}
