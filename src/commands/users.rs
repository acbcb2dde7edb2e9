//! Accounts from the command line.

use std::io::Write;

use super::{Failure, open_current};
use crate::accounts::{self, AccountError, NewUser, email, hashing, password_rules, store, username};
use crate::config::Config;

/// Makes an administrator.
pub async fn create_superuser(
    config: &Config,
    name: Option<String>,
    address: Option<String>,
    noinput: bool,
) -> Result<(), Failure> {
    let db = open_current(config).await?;
    let name = given_or_asked(name, "Username")?;
    let address = given_or_asked(address, "Email address")?;
    let mut faults = username::faults(&name);
    faults.extend(email::faults(&address));
    if let Some(fault) = faults.first() {
        return Err(Failure::Refused((*fault).to_owned()));
    }
    let password = password("MARQUEE_SUPERUSER_PASSWORD", noinput, &name, &address)?;
    let new = NewUser { username: name, email: address, password: hashing::hash(&password), is_superuser: true };
    let user = accounts::create(&db, new).await.map_err(|error| match error {
        AccountError::Db(error) => error.into(),
        error => Failure::Refused(error.to_string()),
    })?;
    println!("Made the administrator {}.", user.username);
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
    accounts::set_password(&mut tx, account.id, &hashing::hash(&password)).await?;
    tx.commit().await?;
    println!("Changed the password of {}. What they were logged in to ends within a second.", user.username);
    Ok(())
}

/// Switches an account off.
pub async fn deactivate(config: &Config, name: &str) -> Result<(), Failure> {
    let db = open_current(config).await?;
    if store::deactivate(&db, &username::key(name)).await? {
        println!("Switched {name} off.");
        Ok(())
    } else {
        Err(unknown(name))
    }
}

fn unknown(name: &str) -> Failure {
    Failure::Refused(format!("There is no user {name}."))
}

fn given_or_asked(given: Option<String>, what: &str) -> Result<String, Failure> {
    let answer = match given {
        Some(given) => given,
        None => {
            let mut line = String::new();
            print!("{what}: ");
            std::io::stdout()
                .flush()
                .and_then(|()| std::io::stdin().read_line(&mut line))
                .map_err(|error| Failure::Refused(error.to_string()))?;
            line
        }
    };
    match answer.trim() {
        "" => Err(Failure::Refused(format!("{what}: this may not be blank."))),
        answer => Ok(answer.to_owned()),
    }
}

/// A password that meets the rules: from the environment, or typed twice.
fn password(variable: &str, noinput: bool, name: &str, address: &str) -> Result<String, Failure> {
    let password = if noinput {
        std::env::var(variable).map_err(|_| Failure::Refused(format!("{variable} is not set.")))?
    } else {
        let ask = |prompt| rpassword::prompt_password(prompt).map_err(|error| Failure::Refused(error.to_string()));
        let password = ask("Password: ")?;
        if password != ask("Password (again): ")? {
            return Err(Failure::Refused("The two passwords differ.".to_owned()));
        }
        password
    };
    // Trimmed, as the API trims it.
    let password = password.trim().to_owned();
    let faults = password_rules::faults(&password, name, address);
    if password.is_empty() || !faults.is_empty() {
        return Err(Failure::Refused(format!("The password was not taken. {}", faults.join(" "))));
    }
    Ok(password)
}
