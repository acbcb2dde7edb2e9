//! Copies Django's groups of staff, with the permissions that have a counterpart here, and their members.

use std::collections::{BTreeMap, BTreeSet};

use super::{Conflict, Import, Result};
use crate::accounts::store;
use crate::db::{Query, Value};
use crate::text;

/// Django's permissions, and what allows the same here. In Django, a show has the name of its screen, and a booking is
/// cancelled by changing it.
const COUNTERPARTS: &[(&str, &[&str])] = &[
    ("booking.view_movie", &["movies.view"]),
    ("booking.add_movie", &["movies.add"]),
    ("booking.change_movie", &["movies.change"]),
    ("booking.delete_movie", &["movies.delete"]),
    ("booking.view_show", &["screens.view", "shows.view"]),
    ("booking.add_show", &["screens.add", "shows.add"]),
    ("booking.change_show", &["shows.change"]),
    ("booking.delete_show", &["shows.delete"]),
    ("booking.view_booking", &["bookings.view", "orders.view"]),
    ("booking.change_booking", &["orders.cancel"]),
    ("auth.view_user", &["users.view"]),
    ("auth.add_user", &["users.add"]),
    ("auth.change_user", &["users.change"]),
    ("auth.view_group", &["groups.view"]),
];

/// Characters in the longest name of a group.
const NAME_CHARS_MAX: usize = 150;

/// The permissions of groups, joined by their own tables: `auth.view_user`.
const PERMISSIONS: &str = "JOIN auth_permission p ON p.id = g.permission_id
     JOIN django_content_type c ON c.id = p.content_type_id";

/// A group of Django's, as it is here.
#[derive(Default)]
struct Group {
    permissions: BTreeSet<&'static str>,
    members: BTreeSet<i64>,
}

impl Import {
    /// Copies groups. One whose name is in use here stays as it is, so that nobody gets more permissions than in Django.
    pub(super) async fn groups(&mut self) -> Result<()> {
        let (mut new, mut there) = (0, 0);
        for (name, group) in self.read_groups().await? {
            let found = "SELECT id FROM staff_groups WHERE name = ?";
            match self.target.query_one::<(i64,)>(found, vec![(&name).into()]).await? {
                Some((id,)) => {
                    there += 1;
                    if !self.is_same(id, &group).await? {
                        self.report.other_groups.add(name);
                    }
                }
                None => {
                    new += 1;
                    self.add_group(&name, &group).await?;
                }
            }
        }
        self.report.tables.push(("groups", new, there));
        Ok(())
    }

    async fn read_groups(&mut self) -> Result<BTreeMap<String, Group>> {
        let of_groups = format!(
            "SELECT g.group_id, c.app_label, p.codename FROM auth_group_permissions g {PERMISSIONS} ORDER BY 1, 2, 3"
        );
        let of_users = format!(
            "SELECT g.user_id, c.app_label, p.codename FROM auth_user_user_permissions g {PERMISSIONS} ORDER BY 1, 2, 3"
        );
        let names: Vec<(i64, String)> = self.read("SELECT id, name FROM auth_group ORDER BY id", vec![]).await?;
        let mut groups: BTreeMap<i64, (String, Group)> = BTreeMap::new();
        for (id, name) in names {
            let clean = text::clean(&name);
            if clean.is_empty() || clean.chars().count() > NAME_CHARS_MAX {
                self.conflict(Conflict::Text, format!("group {id}: {name:?} is blank or has too many characters"));
            }
            groups.insert(id, (clean, Group::default()));
        }
        for (id, app, codename) in self.read::<(i64, String, String)>(&of_groups, vec![]).await? {
            let Some((name, group)) = groups.get_mut(&id) else { continue };
            let theirs = format!("{app}.{codename}");
            match COUNTERPARTS.iter().find(|(permission, _)| *permission == theirs) {
                Some((_, ours)) => group.permissions.extend(*ours),
                None => self.report.without_counterpart.add(format!("group {name:?}: {theirs}")),
            }
        }
        for (id, app, codename) in self.read::<(i64, String, String)>(&of_users, vec![]).await? {
            self.report.without_counterpart.add(format!("user {id}: {app}.{codename}"));
        }
        for (user, id) in self.read::<(i64, i64)>("SELECT user_id, group_id FROM auth_user_groups", vec![]).await? {
            // A user who does not exist is no member; nothing else refers to such a row.
            if let Some((_, group)) = groups.get_mut(&id).filter(|_| self.users.contains(&user)) {
                group.members.insert(user);
            }
        }
        let mut by_name: BTreeMap<String, Group> = BTreeMap::new();
        for (name, group) in groups.into_values() {
            // Names that are the same after cleaning are the same group.
            let same = by_name.entry(name).or_default();
            same.permissions.extend(group.permissions);
            same.members.extend(group.members);
        }
        Ok(by_name)
    }

    /// Checks whether a group here has the same permissions, and at least these members.
    async fn is_same(&mut self, id: i64, group: &Group) -> Result<bool> {
        let permissions = "SELECT permission FROM group_permissions WHERE group_id = ?";
        let permissions: Vec<(String,)> = self.target.query(permissions, vec![id.into()]).await?;
        let members = "SELECT user_id FROM group_members WHERE group_id = ?";
        let members: Vec<(i64,)> = self.target.query(members, vec![id.into()]).await?;
        let permissions: BTreeSet<&str> = permissions.iter().map(|(permission,)| permission.as_str()).collect();
        let members: BTreeSet<i64> = members.into_iter().map(|(user,)| user).collect();
        Ok(permissions == group.permissions && members.is_superset(&group.members))
    }

    async fn add_group(&mut self, name: &str, group: &Group) -> Result<()> {
        if !self.writes() {
            return Ok(());
        }
        let permissions: Vec<String> = group.permissions.iter().map(|one| (*one).to_owned()).collect();
        let id = store::put_group(&mut self.target, None, name, &permissions).await?;
        for user in &group.members {
            let sql = "INSERT INTO group_members (user_id, group_id) VALUES (?, ?)";
            self.target.execute(sql, vec![Value::Int(*user), id.into()]).await?;
        }
        Ok(())
    }
}
