//! User accounts.

pub mod admin;
pub mod api;
pub mod auth;
pub mod editing;
pub mod email;
mod erasing;
pub mod login;
pub mod pages;
pub mod password_rules;
pub mod signup;
pub mod store;
pub mod username;

/// The fields of a new account.
pub struct NewUser {
    pub username: String,
    pub email: String,
    pub password: String,
    pub is_superuser: bool,
}

/// The editable fields of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Account {
    pub username: String,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub is_active: bool,
    pub is_staff: bool,
    pub is_superuser: bool,
    /// Ids in ascending order.
    pub groups: Vec<i64>,
}

impl Account {
    pub fn is_active_superuser(&self) -> bool {
        self.is_active && self.is_staff && self.is_superuser
    }
}
