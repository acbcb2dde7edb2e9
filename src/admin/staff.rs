//! The people who use the panel, and what they may do.

use std::collections::HashSet;
use std::net::IpAddr;

use super::{Action, Column, Model, Site};

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

    /// Returns the permission on a model as it is stored: `movies.change`.
    pub fn key(self, model: &Model) -> String {
        format!("{}.{}", model.name, self.name())
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

impl Staff {
    pub fn may(&self, permission: Permission, model: &Model) -> bool {
        self.is_superuser || model.has(permission) && self.has(permission, model.name)
    }

    /// Checks for a permission on the model with this name.
    fn has(&self, permission: Permission, model: &str) -> bool {
        self.is_superuser || self.permissions.contains(&format!("{model}.{}", permission.name()))
    }

    /// Checks whether the user may see the model. The permission to change it includes that.
    pub fn sees(&self, model: &Model) -> bool {
        self.may(Permission::View, model) || self.may(Permission::Change, model)
    }

    /// Returns the columns of a model's exports for this user. The id has a place of its own.
    pub fn exported(&self, site: &Site, model: &Model) -> Vec<&'static Column> {
        let may_see = |name: &str| name.is_empty() || site.model(name).is_some_and(|model| self.sees(model));
        model.columns.iter().filter(|column| column.name != "id" && may_see(column.exported_to)).collect()
    }

    /// Checks whether the user can add objects of the model in the panel.
    pub fn adds(&self, model: &Model) -> bool {
        model.adds && model.save.is_some() && self.may(Permission::Add, model)
    }

    pub fn changes(&self, model: &Model) -> bool {
        model.save.is_some() && self.may(Permission::Change, model)
    }

    pub fn deletes(&self, model: &Model) -> bool {
        model.delete.is_some() && self.may(Permission::Delete, model)
    }

    /// Checks whether the user may download everything about an object of the model.
    pub fn downloads(&self, model: &Model) -> bool {
        let also = model.download.map_or(&[][..], |download| download.also);
        model.download.is_some()
            && self.sees(model)
            && also.iter().all(|(model, permission)| self.has(*permission, model))
    }

    /// Checks whether the user may run an action, including everything that it changes in other models.
    pub fn may_run(&self, action: &Action, model: &Model) -> bool {
        self.may(action.needs, model) && action.also.iter().all(|(model, permission)| self.has(*permission, model))
    }
}
