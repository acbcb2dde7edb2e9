//! Compares best seats and the lone-seat rule with a slow reference that tries every selection.
//!
//! `SEATING_ROUNDS=full` tries every screen of up to 12 seats in two rows and 10,000 larger ones: some minutes with
//! `--release`. Otherwise a sample of both is tried.

mod larger_screens;
mod random;
mod reference;
mod screen;
mod small_screens;

fn is_full() -> bool {
    std::env::var("SEATING_ROUNDS").is_ok_and(|rounds| rounds == "full")
}
