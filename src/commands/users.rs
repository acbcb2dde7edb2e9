//! Commands that manage accounts.

use std::io::Write;

use super::{Failure, open_current};
use crate::accounts::{NewUser, editing, email, password_rules, signup, store, username};
use crate::config::Config;
use crate::identity::{AccountError, hashing};

/// Creates an administrator.
pub async fn create_superuser(
    config: &Config,
    name: Option<String>,
    address: Option<String>,
    noinput: bool,
) -> Result<(), Failure> {
    let db = open_current(config).await?;
    let name = given_or_asked(name, "Username", username::faults)?;
    let address = given_or_asked(address, "Email address", email::faults)?;
    let password = password("MARQUEE_SUPERUSER_PASSWORD", noinput, &name, &address)?;
    let new = NewUser { username: name, email: address, password: hashing::hash(&password), is_superuser: true };
    let user = signup::create(&db, new).await.map_err(|error| match error {
        AccountError::Db(error) => error.into(),
        error => Failure::Refused(error.to_string()),
    })?;
    println!("Created the administrator {}.", user.username);
    Ok(())
}

/// Sets a user's password.
pub async fn change_password(config: &Config, name: &str, noinput: bool) -> Result<(), Failure> {
    let db = open_current(config).await?;
    let key = username::key(name);
    let account = store::credentials(&db, &key).await?.ok_or_else(|| unknown(name))?;
    let found = store::by_ids(&db, vec![account.id]).await?.remove(&account.id).flatten();
    let user = found.ok_or_else(|| unknown(name))?.user;
    let password = password("MARQUEE_PASSWORD", noinput, &user.username, &user.email)?;
    let mut tx = db.begin().await?;
    editing::replace_password(&mut tx, account.id, &hashing::hash(&password)).await?;
    tx.commit().await?;
    println!("Changed the password of {}. All their tokens and sessions end within a second.", user.username);
    Ok(())
}

/// Activates or deactivates an account.
pub async fn set_active(config: &Config, name: &str, is_active: bool) -> Result<(), Failure> {
    let db = open_current(config).await?;
    if store::set_active(&db, &username::key(name), is_active).await? {
        println!("{} {name}.", if is_active { "Activated" } else { "Deactivated" });
        Ok(())
    } else {
        Err(unknown(name))
    }
}

/// How many users are read at a time.
const PAGE: i64 = 1_000;

/// Prints users, one a line. The reader may close the pipe before the end.
pub async fn list(config: &Config, staff_only: bool, inactive_only: bool) -> Result<(), Failure> {
    let db = open_current(config).await?;
    let mut out = std::io::stdout();
    let mut last = 0;
    loop {
        let users = store::users(&db, last, PAGE, staff_only, inactive_only).await?;
        let Some(end) = users.last() else { return Ok(()) };
        last = end.id;
        for user in users {
            let mut status = vec![if user.is_active { "active" } else { "inactive" }];
            status.extend(user.is_staff.then_some("staff"));
            status.extend(user.is_superuser.then_some("superuser"));
            let line = format!("{}\t{}\t{}\t{}", user.id, user.username, user.email, status.join(","));
            if writeln!(out, "{line}").is_err() {
                return Ok(());
            }
        }
    }
}

fn unknown(name: &str) -> Failure {
    Failure::Refused(format!("There is no user {name}."))
}

/// Returns the value of an option. If there is none, asks for it until the answer meets the rules.
fn given_or_asked(
    given: Option<String>,
    what: &str,
    faults: impl Fn(&str) -> Vec<&'static str>,
) -> Result<String, Failure> {
    let check = |answer: &str| match answer.trim() {
        "" => Err(format!("{what} must not be blank.")),
        answer => faults(answer).first().map_or_else(|| Ok(answer.to_owned()), |fault| Err((*fault).to_owned())),
    };
    if let Some(given) = given {
        return check(&given).map_err(Failure::Refused);
    }
    loop {
        let mut line = String::new();
        print!("{what}: ");
        let read = std::io::stdout().flush().and_then(|()| std::io::stdin().read_line(&mut line));
        let is_over = read.map_err(|error| Failure::Refused(error.to_string()))? == 0;
        match check(&line) {
            Err(fault) if !is_over => eprintln!("{fault}"),
            checked => return checked.map_err(Failure::Refused),
        }
    }
}

/// Returns a password that meets the rules, from the environment or typed twice. Asks again until it does.
fn password(variable: &str, noinput: bool, name: &str, address: &str) -> Result<String, Failure> {
    let check = |password: &str| {
        // The API trims passwords, too.
        let password = password.trim();
        match password_rules::faults(password, name, address) {
            _ if password.is_empty() => Err("The password must not be blank.".to_owned()),
            faults if faults.is_empty() => Ok(password.to_owned()),
            faults => Err(format!("This password is too weak: {}", faults.join(" "))),
        }
    };
    if noinput {
        let given = std::env::var(variable).map_err(|_| Failure::Refused(format!("{variable} is not set.")))?;
        return check(&given).map_err(Failure::Refused);
    }
    // Fails without a terminal, and at the end of the input.
    let ask = |prompt| rpassword::prompt_password(prompt).map_err(|error| Failure::Refused(error.to_string()));
    loop {
        let password = ask("Password: ")?;
        let checked = match ask("Password (again): ")? {
            again if again != password => Err("The two passwords differ.".to_owned()),
            _ => check(&password),
        };
        match checked {
            Ok(password) => return Ok(password),
            Err(fault) => eprintln!("{fault}"),
        }
    }
}
