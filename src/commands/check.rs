//! The command `check`: finds problems that would hurt in production.

use jiff::tz::TimeZone;
use secrecy::ExposeSecret;

use super::{Failure, advice, edited_advice, open_existing, other_currency, waiting_advice};
use crate::bookings;
use crate::config::Config;
use crate::config::secret::{HOW_TO_MAKE_ONE, SecretFault, secret_fault};
use crate::data::{sample, store as data};
use crate::db::{Db, MigrationState};
use crate::jobs::store;
use crate::server;
use crate::tills::{checking, store as tills};
use crate::time::clock;

enum Finding {
    Good(&'static str),
    /// May be intended.
    Note(String),
    Wrong(String),
}

use Finding::{Good, Note, Wrong};

impl From<Result<&'static str, String>> for Finding {
    fn from(result: Result<&'static str, String>) -> Finding {
        result.map_or_else(Wrong, Good)
    }
}

/// Prints one line per finding; fails if one of them is wrong.
pub async fn check(config: &Config, with_ledger: bool) -> Result<(), Failure> {
    let mut findings = vec![Good("the settings can be read")];
    findings.push(secret(config).into());
    findings.push(if config.debug { Wrong("DEBUG is on".into()) } else { Good("DEBUG is off") });
    findings.push(hosts(config));
    for doubt in &config.doubts {
        let text = doubt.text.clone();
        findings.push(if doubt.is_mistake { Wrong(text) } else { Note(text) });
    }
    let unreachable = check_database(config, with_ledger, &mut findings).await.err();
    findings.extend(notes(config));
    findings.extend(server::too_few_files(server::raise_open_files(), config).map(Note));
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
        (1, None) => Err(Failure::Refused("1 problem found.".to_owned())),
        (_, None) => Err(Failure::Refused(format!("{bad} problems found."))),
    }
}

/// Describes which hosts are answered; any answer may be intended.
fn hosts(config: &Config) -> Finding {
    let hosts = &config.allowed_hosts;
    let is_local = |host: &String| matches!(host.as_str(), "localhost" | ".localhost" | "127.0.0.1" | "[::1]");
    if hosts.iter().any(|host| host == "*") {
        Note("requests for any host are answered, because ALLOWED_HOSTS contains *".into())
    } else if hosts.iter().all(is_local) {
        Note("only requests to localhost are answered: ALLOWED_HOSTS names no other host".into())
    } else {
        Good("ALLOWED_HOSTS names the hosts of this server")
    }
}

async fn check_database(config: &Config, with_ledger: bool, findings: &mut Vec<Finding>) -> Result<(), Failure> {
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
    findings.push(match edited_advice(&db.edited_migrations().await?) {
        Some(advice) => Wrong(advice),
        None => Good("the database answers and is up to date"),
    });
    let waiting = db.waiting_migrations().await?;
    findings.extend((!waiting.is_empty()).then(|| Note(waiting_advice(&waiting))));
    let wrong = bookings::store::shows_with_wrong_counts(&db).await?;
    findings.push(if wrong.is_empty() {
        Good("the count of taken seats is right for every show")
    } else {
        Wrong(format!("the count of taken seats is wrong for these shows: {wrong:?}"))
    });
    findings.push(match other_currency(&db, config).await? {
        Some(advice) => Wrong(advice),
        None => Good("the prices are in the currency of the settings"),
    });
    findings.push(if tills::is_protected(&db).await? {
        Good("the database refuses changes of the ledger")
    } else {
        Note("the database does not refuse changes of the ledger: `marquee migrate` says what to do".into())
    });
    if with_ledger {
        findings.extend(ledger(&db).await?);
    }
    let public = sample::public_accounts(&db).await?;
    findings.push(if public.is_empty() {
        Good("no account has a password from the sample data")
    } else {
        Wrong(format!(
            "anyone can log in as {}: the password comes from the sample data and is public. Run `marquee \
             deactivate-user NAME`, or `marquee changepassword NAME`",
            public.join(" and ")
        ))
    });
    findings.extend(jobs(&store::all(&db).await?));
    if !data::has_superuser(&db).await? {
        findings.push(Note("there is no administrator: `marquee createsuperuser` creates one".into()));
    }
    Ok(())
}

/// Recomputes the ledger.
async fn ledger(db: &Db) -> Result<Vec<Finding>, Failure> {
    let checked = checking::check(db).await?;
    let (entries, days) = (checked.entries, checked.closed_days);
    let count = Note(format!("the ledger has {entries} entries, and {days} days of tills are closed"));
    let faults: Vec<Finding> = checked.faults.into_iter().map(|fault| Wrong(format!("ledger: {fault}"))).collect();
    let rest = if faults.is_empty() {
        vec![Good("the ledger agrees with its closed days and with the seats")]
    } else {
        faults
    };
    Ok([count].into_iter().chain(rest).collect())
}

/// Describes the background work: the jobs that failed, and those that are overdue, as all are while no server runs.
fn jobs(jobs: &[store::Status]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for job in jobs {
        if let Some(error) = &job.failure {
            let ended = clock::iso(job.ended_at.unwrap_or_default());
            findings.push(Wrong(format!("the job {} failed at {ended}: {error}", job.name)));
        }
        if job.is_overdue() {
            let due = clock::iso(job.next_at);
            findings.push(Note(format!("the job {} has been due since {due}: is a server running?", job.name)));
        }
    }
    if findings.is_empty() { vec![Good("no background job failed or is overdue")] } else { findings }
}

/// Finds settings that may be intended, but often are not.
fn notes(config: &Config) -> Vec<Finding> {
    let is_public = !config.bind.ip().is_loopback() && config.trusted_proxies == 0;
    let notes = [
        (
            is_public,
            "BIND can be reached from other machines, and TRUSTED_PROXIES is 0: without a proxy that does TLS, \
             passwords are sent unencrypted",
        ),
        (
            config.metrics_bind.is_some_and(|bind| !bind.ip().is_loopback()),
            "METRICS_BIND can be reached from other machines: anyone there can see how much you sell",
        ),
        (
            config.time_zone == TimeZone::UTC,
            "TIME_ZONE is UTC: local times in the admin panel and in loaddata files are UTC",
        ),
        (config.limits.user_seats.is_none(), "SEATS_PER_USER is empty: one account can book every seat of a show"),
    ];
    notes.into_iter().filter(|(applies, _)| *applies).map(|(_, text)| Note(text.to_owned())).collect()
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
