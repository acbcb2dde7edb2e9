//! The result of an import, and how it is displayed.

use std::collections::BTreeMap;
use std::fmt;

/// Conflicts of one kind, and users without a password, that a report lists; further ones are only counted.
const SHOWN: usize = 20;

const UNSHOWABLE: &str =
    "Names with characters that can't be displayed, such as line ends. They are copied without these.";
const WITHOUT_COUNTERPART: &str = "Permissions without a counterpart. They are not copied.";
const OTHER_GROUPS: &str = "Groups whose name is in use here, with other permissions or members. They are not copied: \
                            check the members of the group here.";

/// The reasons to refuse an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conflict {
    /// Not of the expected type, or out of range.
    Value,
    /// Too long, or blank although it must not be.
    Text,
    Status,
    /// A row refers to a row that does not exist.
    Dangling,
    SameUsername,
    SeatHeldTwice,
    SeatOutside,
    OtherContent,
    UsernameTaken,
    SeatTaken,
    IdReserved,
}

impl Conflict {
    /// Describes the conflict, and says what to do about it.
    fn advice(self) -> &'static str {
        match self {
            Conflict::Value => "Values that are missing or out of range. Correct them in Django's database.",
            Conflict::Text => "Texts that are blank or too long. Correct them in Django's database.",
            Conflict::Status => "Bookings that are neither 'booked' nor 'cancelled'. Set one of the two in Django.",
            Conflict::Dangling => {
                "Rows that refer to a row that does not exist. Delete them, or restore the rows they refer to."
            }
            Conflict::SameUsername => {
                "Usernames that differ only in letter case or Unicode form: they would be the same user here. Rename \
                 all but one."
            }
            Conflict::SeatHeldTwice => "Seats with more than one active booking. Cancel all but one of them in Django.",
            Conflict::SeatOutside => {
                "Seats that the show does not have. Cancel the booking or give the show more seats, in Django. \
                 Bookings of a seat below 1 must be deleted."
            }
            Conflict::OtherContent => {
                "Ids that this database already uses, with other content. Import into an empty database."
            }
            Conflict::UsernameTaken => {
                "Usernames that another user has in this database. Rename one, or import into an empty database."
            }
            Conflict::SeatTaken => "Seats that are also booked in this database. Cancel one of the two bookings.",
            Conflict::IdReserved => {
                "New bookings whose ids a Marquee server has already reserved. Import into an empty database."
            }
        }
    }
}

/// The result of an import. With conflicts or in a dry run, nothing was written.
#[derive(Debug, Default)]
pub struct Report {
    /// Whether the rows are in the database now.
    pub written: bool,
    /// Our table's name, the number of new rows, and the number of rows that already existed.
    pub tables: Vec<(&'static str, u64, u64)>,
    /// Django's columns that are not copied, as `table.column`.
    pub ignored: Vec<String>,
    /// Users whose password can't be checked here, grouped by the reason.
    pub without_password: BTreeMap<String, Listed>,
    /// Users who already exist, with a password that was set or rehashed here.
    pub newer_passwords: u64,
    /// Names with characters that can't be displayed; they are copied without them.
    pub unshowable: Listed,
    /// Permissions of groups and users that no permission here stands for.
    pub without_counterpart: Listed,
    /// Groups whose name another group has here.
    pub other_groups: Listed,
    pub conflicts: BTreeMap<Conflict, Listed>,
}

/// The number of things of one kind, and the first few.
#[derive(Debug, Default)]
pub struct Listed {
    pub count: u64,
    pub first: Vec<String>,
}

impl Listed {
    pub(super) fn add(&mut self, one: String) {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(one);
        }
    }

    /// Returns how many are not listed.
    fn rest(&self) -> u64 {
        self.count - self.first.len() as u64
    }

    fn write(&self, f: &mut fmt::Formatter, kind: &str, text: &str) -> fmt::Result {
        writeln!(f, "{kind} ({}). {text}", self.count)?;
        for one in &self.first {
            writeln!(f, "  {one}")?;
        }
        match self.rest() {
            0 => Ok(()),
            rest => writeln!(f, "  and {rest} more"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let new = if self.written { "copied" } else { "new" };
        for (table, count, there) in &self.tables {
            writeln!(f, "{table:<8} {count:>9} {new}, {there} already there")?;
        }
        if !self.ignored.is_empty() {
            writeln!(f, "Columns without a counterpart, not copied: {}.", self.ignored.join(", "))?;
        }
        for (kept, users) in &self.without_password {
            write!(f, "Users who need a new password ({kept}), {}: {}", users.count, users.first.join(", "))?;
            writeln!(f, "{}", if users.rest() > 0 { ", and others" } else { "" })?;
        }
        if !self.without_password.is_empty() {
            writeln!(f, "Set one with `marquee changepassword USERNAME`.")?;
        }
        if self.newer_passwords > 0 {
            writeln!(f, "Users who keep a newer password that was stored here: {}.", self.newer_passwords)?;
        }
        for (listed, note) in [
            (&self.unshowable, UNSHOWABLE),
            (&self.without_counterpart, WITHOUT_COUNTERPART),
            (&self.other_groups, OTHER_GROUPS),
        ] {
            if listed.count > 0 {
                listed.write(f, "NOTE", note)?;
            }
        }
        for (conflict, rows) in &self.conflicts {
            rows.write(f, "CONFLICT", conflict.advice())?;
        }
        Ok(())
    }
}
