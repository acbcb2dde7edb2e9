//! The people who use the panel, and what they may do.

use std::collections::HashSet;
use std::net::IpAddr;

/// An operation on a model's objects that a group can be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    View,
    Add,
    Change,
    Delete,
    /// To take money.
    Pay,
    /// To give money back, which cancels what it was paid for.
    Refund,
    /// To end what customers have booked.
    Cancel,
    /// To remove what identifies a person.
    Erase,
}

impl Permission {
    pub const ALL: [Permission; 8] = [
        Permission::View,
        Permission::Add,
        Permission::Change,
        Permission::Delete,
        Permission::Pay,
        Permission::Refund,
        Permission::Cancel,
        Permission::Erase,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Permission::View => "view",
            Permission::Add => "add",
            Permission::Change => "change",
            Permission::Delete => "delete",
            Permission::Pay => "pay",
            Permission::Refund => "refund",
            Permission::Cancel => "cancel",
            Permission::Erase => "erase",
        }
    }
}

/// The logged-in user of the panel: active, and staff.
#[derive(Debug, Clone)]
pub struct Staff {
    pub user_id: i64,
    pub username: String,
    pub is_superuser: bool,
    /// Permissions such as `movies.change`, from the user's groups. Superusers need none.
    pub permissions: HashSet<String>,
    /// The IP address of the client, for the log.
    pub address: IpAddr,
    /// The CSRF token for every form.
    pub csrf: String,
}
