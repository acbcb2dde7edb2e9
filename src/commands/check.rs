//! What would hurt in production.

use jiff::tz::TimeZone;
use secrecy::ExposeSecret;

use super::{Failure, advice, open_existing};
use crate::booking;
use crate::config::Config;
use crate::config::secret::{HOW_TO_MAKE_ONE, SecretFault, secret_fault};
use crate::connections;
use crate::data::{sample, store as data};
use crate::db::MigrationState;

enum Finding {
    Good(&'static str),
    /// It may be meant so.
    Note(String),
    Wrong(String),
}

use Finding::{Good, Note, Wrong};

impl From<Result<&'static str, String>> for Finding {
    fn from(result: Result<&'static str, String>) -> Finding {
        result.map_or_else(Wrong, Good)
    }
}

/// Prints one line per finding; fails when one is bad.
pub async fn check(config: &Config) -> Result<(), Failure> {
    let mut findings = vec![Good("the settings can be read")];
    findings.push(secret(config).into());
    findings.push(if config.debug { Wrong("DEBUG is on".into()) } else { Good("DEBUG is off") });
    findings.push(hosts(config));
    for doubt in &config.doubts {
        let text = doubt.text.clone();
        findings.push(if doubt.is_mistake { Wrong(text) } else { Note(text) });
    }
    let unreachable = look_at_database(config, &mut findings).await.err();
    findings.extend(notes(config));
    findings.extend(connections::too_few_files(connections::raise_open_files(), config).map(Note));
    let bad = findings.iter().filter(|finding| matches!(finding, Wrong(_))).count();
    for finding in findings {
        match finding {
            Good(text) => println!("ok    {text}"),
            Note(text) => println!("note  {text}"),
            Wrong(text) => println!("WRONG {text}"),
        }
    }
    match (bad, unreachable) {
        (_, Some(failure)) => Err(failure),
        (0, None) => Ok(()),
        (_, None) => Err(Failure::Refused(format!("{bad} to mend."))),
    }
}

/// Who is answered; each may be meant.
fn hosts(config: &Config) -> Finding {
    let hosts = &config.allowed_hosts;
    let is_local = |host: &String| matches!(host.as_str(), "localhost" | ".localhost" | "127.0.0.1" | "[::1]");
    if hosts.iter().any(|host| host == "*") {
        Note("every Host is answered, since ALLOWED_HOSTS has *".into())
    } else if hosts.iter().all(is_local) {
        Note("only requests to localhost are answered: ALLOWED_HOSTS names no other host".into())
    } else {
        Good("ALLOWED_HOSTS names the hosts that are answered")
    }
}

async fn look_at_database(config: &Config, findings: &mut Vec<Finding>) -> Result<(), Failure> {
    let opened = async {
        let db = open_existing(config)?;
        let state = db.migration_state().await?;
        Ok::<_, Failure>((db, state))
    };
    let (db, state) = match opened.await {
        Ok(opened) => opened,
        Err(failure) => {
            let none = matches!(failure, Failure::NoDatabase(_));
            findings.push(Wrong(if none { "there is no database" } else { "the database does not answer" }.into()));
            return Err(failure);
        }
    };
    if state != MigrationState::Current {
        findings.push(Wrong(advice(&state)));
        return Ok(());
    }
    findings.push(Good("the database answers and is up to date"));
    let wrong = booking::store::shows_with_wrong_counts(&db).await?;
    findings.push(if wrong.is_empty() {
        Good("each show counts its taken seats right")
    } else {
        Wrong(format!("these shows count their taken seats wrong: {wrong:?}"))
    });
    let public = sample::public_accounts(&db).await?;
    findings.push(if public.is_empty() {
        Good("no account has a password of the sample data")
    } else {
        Wrong(format!(
            "anyone can log in as {}: the password is the sample data's, which is public. Run `marquee deactivate-user \
             NAME`, or `marquee changepassword NAME`",
            public.join(" and ")
        ))
    });
    if !data::has_superuser(&db).await? {
        findings.push(Note("there is no administrator: `marquee createsuperuser` makes one".into()));
    }
    Ok(())
}

/// What may be meant, and often is not.
fn notes(config: &Config) -> Vec<Finding> {
    let is_public = !config.bind.ip().is_loopback() && config.trusted_proxies == 0;
    let notes = [
        (
            is_public,
            "BIND can be reached from other machines, and TRUSTED_PROXIES is 0: without a proxy that does TLS, passwords \
             travel in the open",
        ),
        (config.time_zone == TimeZone::UTC, "TIME_ZONE is UTC: local times of programmes and of the panel are UTC"),
        (config.limits.user_seats.is_none(), "SEATS_PER_USER is empty: one account can book every seat of a show"),
    ];
    notes.into_iter().filter(|(is_so, _)| *is_so).map(|(_, text)| Note(text.to_owned())).collect()
}

fn secret(config: &Config) -> Result<&'static str, String> {
    let Some(key) = &config.secret_key else { return Err(format!("SECRET_KEY is not set: {HOW_TO_MAKE_ONE}")) };
    match secret_fault(key.expose_secret()) {
        None => Ok("SECRET_KEY is strong"),
        Some(SecretFault::Unusable(why) | SecretFault::Weak(why)) => {
            Err(format!("SECRET_KEY is weak: {why}; {HOW_TO_MAKE_ONE}"))
        }
    }
}
