//! Password hashes: argon2id for new ones; hashes imported from Django are accepted, too.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pbkdf2::pbkdf2_hmac;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// OWASP's parameters for argon2id: 19 MiB, two passes, one lane.
const M_COST_KIB: u32 = 19_456;
const T_COST: u32 = 2;
const P_COST: u32 = 1;

/// Limits for the parameters of an imported hash, so that it cannot block a login or use up the
/// memory. Django's own are 100 MiB, two passes and eight lanes, and a million iterations.
const MAX_M_COST_KIB: u32 = 256 * 1024;
const MAX_T_COST: u32 = 16;
const MAX_P_COST: u32 = 16;
const MAX_PBKDF2_ITERATIONS: u32 = 10_000_000;

/// The result of comparing a password with a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The wrong password, or a hash of an unknown format (such as Django's unusable `!…`).
    Wrong,
    /// The right password.
    Right,
    /// The right password, but the hash was not made as [`hash`] makes them and should be replaced.
    RightButOld,
}

/// Hashes a password with argon2id and a random salt, as a PHC string (`$argon2id$v=19$…`).
/// Deliberately takes about 20 ms and 19 MiB: don't call it on an async thread.
///
/// # Panics
/// If the system has no source of randomness.
pub fn hash(password: &str) -> String {
    argon2id()
        .hash_password(password.as_bytes())
        .expect("the parameters are valid, and the system has a source of randomness")
        .to_string()
}

/// Compares a password with a hash: a PHC string of argon2, or what Django's PBKDF2 and argon2
/// hashers store. Takes as long as [`hash`], or as long as the parameters of the hash require.
pub fn verify(password: &str, encoded: &str) -> Verdict {
    let password = password.as_bytes();
    if let Some(rest) = encoded.strip_prefix("pbkdf2_sha256$") {
        match verify_pbkdf2(password, rest) {
            Some(true) => Verdict::RightButOld,
            _ => Verdict::Wrong,
        }
    } else {
        // Django prepends the name of its hasher.
        let phc = encoded.strip_prefix("argon2").unwrap_or(encoded);
        match verify_argon2(password, phc) {
            Some(true) if phc == encoded && is_current(phc) => Verdict::Right,
            Some(true) => Verdict::RightButOld,
            Some(false) => Verdict::Wrong,
            // Nothing was compared. Take the same time anyway, so that the reply doesn't come sooner.
            None => {
                verify_argon2(password, dummy_hash());
                Verdict::Wrong
            }
        }
    }
}

/// A hash whose password nobody knows. It is used if the user doesn't exist, so that the reply
/// doesn't come sooner than for a user who does.
pub fn dummy_hash() -> &'static str {
    "$argon2id$v=19$m=19456,t=2,p=1$LDN8VX+3PQvmYYzizIF81w\
     $u5kp4Z13VnvCKd30BeVC/eecq60Hh4MnBYNNR4JQsY0"
}

fn argon2id() -> Argon2<'static> {
    let params = Params::new(M_COST_KIB, T_COST, P_COST, None).expect("constants within bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Parses `iterations$salt$hash`, with the salt as text and the hash in base64, and compares.
/// Returns `None` if malformed.
fn verify_pbkdf2(password: &[u8], encoded: &str) -> Option<bool> {
    let (iterations, rest) = encoded.split_once('$')?;
    let (salt, expected) = rest.split_once('$')?;
    let iterations: u32 = iterations.parse().ok()?;
    if !(1..=MAX_PBKDF2_ITERATIONS).contains(&iterations) {
        return None;
    }
    let expected: [u8; 32] = BASE64_STANDARD.decode(expected).ok()?.try_into().ok()?;
    let mut found = [0; 32];
    pbkdf2_hmac::<Sha256>(password, salt.as_bytes(), iterations, &mut found);
    Some(found.ct_eq(&expected).into())
}

/// Returns `None` if this is not a PHC string of argon2, or if its parameters exceed the limits.
fn verify_argon2(password: &[u8], phc: &str) -> Option<bool> {
    let parsed = PasswordHash::new(phc).ok()?;
    let params = Params::try_from(&parsed).ok()?;
    if params.m_cost() > MAX_M_COST_KIB || params.t_cost() > MAX_T_COST || params.p_cost() > MAX_P_COST {
        return None;
    }
    // Algorithm, version and parameters come from the hash, not from this instance.
    Some(argon2id().verify_password(password, &parsed).is_ok())
}

fn is_current(phc: &str) -> bool {
    phc.starts_with(&format!("$argon2id$v=19$m={M_COST_KIB},t={T_COST},p={P_COST}$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "Sturdy-Lantern-42";

    #[test]
    fn a_new_hash_matches_only_its_password() {
        let encoded = hash(PASSWORD);
        assert!(encoded.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(verify(PASSWORD, &encoded), Verdict::Right);
        assert_eq!(verify("sturdy-lantern-42", &encoded), Verdict::Wrong);
        assert_eq!(verify("", &encoded), Verdict::Wrong);
        assert_ne!(hash(PASSWORD), encoded, "the salt is random");
    }

    /// Made by Django 5.2's hashers, and the last three by argon2-cffi.
    #[test]
    fn foreign_hashes_are_right_but_old() {
        for encoded in [
            "pbkdf2_sha256$1000$NaCl12$/AbtcQge7HCH/VFDyoSGFEZz62GEfY6RkUdtXZeVEBQ=",
            "argon2$argon2id$v=19$m=8,t=1,p=1$TmFDbE5hQ2wxMjM0\
             $IdjSBpW/bRVIq+wfc7A5Ao2favACLvzNsbvdfmuIDiI",
            "$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA\
             $V8Y4oCdjbG+K9Gkh4NPJdqZRW7wKJAYhSn+O64dxmHY",
            "$argon2d$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA\
             $FMrDJrxolERfHP8zJtRhrijNMp/RZMCxN0Ppq/xYo7M",
            "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA\
             $wKrDpiVS4SZrWEuVwlAgfPq6lymstOPmzppPzq9sHNo",
        ] {
            assert_eq!(verify(PASSWORD, encoded), Verdict::RightButOld, "{encoded}");
            assert_eq!(verify("Sturdy-Lantern-43", encoded), Verdict::Wrong, "{encoded}");
        }
    }

    #[test]
    fn a_hash_with_djangos_prefix_is_old_whatever_its_parameters() {
        let encoded = format!("argon2{}", hash(PASSWORD));
        assert_eq!(verify(PASSWORD, &encoded), Verdict::RightButOld);
    }

    #[test]
    fn an_unknown_format_is_wrong() {
        for encoded in [
            "",
            "!",
            "!G7mpHBgOzDmvwd0yEmCkLk1Fl0ALdS6sgMyCSAKm",
            "Sturdy-Lantern-42",
            "argon2",
            "$argon2id$v=19$m=19456,t=2,p=1$",
            "$argon2id$v=19$m=19456,t=2,p=1$LDN8VX+3PQvmYYzizIF81w",
            "$argon2id$v=18$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA\
             $wKrDpiVS4SZrWEuVwlAgfPq6lymstOPmzppPzq9sHNo",
            "$scrypt$ln=4,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$wKrDpiVS4SZrWEuVwlAgfPq6lymstOPm",
            "pbkdf2_sha256$",
            "pbkdf2_sha256$$$",
            "pbkdf2_sha256$1000$NaCl12$",
            "pbkdf2_sha256$1000$NaCl12$/AbtcQge7HCH",
            "pbkdf2_sha256$0$NaCl12$/AbtcQge7HCH/VFDyoSGFEZz62GEfY6RkUdtXZeVEBQ=",
            "pbkdf2_sha256$-1$NaCl12$/AbtcQge7HCH/VFDyoSGFEZz62GEfY6RkUdtXZeVEBQ=",
            "pbkdf2_sha1$1000$NaCl12$/AbtcQge7HCH/VFDyoSGFEZz62GEfY6RkUdtXZeVEBQ=",
        ] {
            assert_eq!(verify(PASSWORD, encoded), Verdict::Wrong, "{encoded}");
        }
    }

    /// Each would take minutes or all memory if it were computed.
    #[test]
    fn a_hash_beyond_the_limits_is_refused_immediately() {
        let started = std::time::Instant::now();
        for encoded in [
            "pbkdf2_sha256$4294967295$NaCl12$/AbtcQge7HCH/VFDyoSGFEZz62GEfY6RkUdtXZeVEBQ=",
            "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA\
             $wKrDpiVS4SZrWEuVwlAgfPq6lymstOPmzppPzq9sHNo",
            "$argon2id$v=19$m=19456,t=100000,p=1$c2FsdHNhbHRzYWx0c2FsdA\
             $wKrDpiVS4SZrWEuVwlAgfPq6lymstOPmzppPzq9sHNo",
            "$argon2id$v=19$m=200000,t=16,p=25000$c2FsdHNhbHRzYWx0c2FsdA\
             $wKrDpiVS4SZrWEuVwlAgfPq6lymstOPmzppPzq9sHNo",
        ] {
            assert_eq!(verify(PASSWORD, encoded), Verdict::Wrong, "{encoded}");
        }
        assert!(started.elapsed().as_secs() < 2);
    }

    #[test]
    fn the_dummy_is_computed_like_a_new_hash() {
        assert!(is_current(dummy_hash()));
        assert_eq!(verify_argon2(PASSWORD.as_bytes(), dummy_hash()), Some(false));
    }
}
