//! Users and their groups in the admin panel.

use futures_util::future::BoxFuture;

use super::editing::{self, Editor};
use super::{Account, erasing, store};
use crate::admin::query::log;
use crate::admin::{
    Action, Column, Download, Field, FieldAccess, FieldChange, FieldValue, Fieldset, Filter, FilterBy, FormValues,
    Kind, Model, Permission, Report, SaveError, Search, Shown, Staff, UsedBy, Work,
};
use crate::error::ApiError;
use crate::identity::client::WaitingClient;
use crate::identity::password_queue::Purpose;
use crate::search;
use crate::state::App;

const YES_NO: &[(&str, &str)] = &[("1", "Yes"), ("0", "No")];

const fn yes_no(name: &'static str, label: &'static str, sql: &'static str) -> Filter {
    Filter { name, label, by: FilterBy::Choice { sql, choices: YES_NO, counted: true } }
}

pub static USERS: Model = Model {
    name: "users",
    one: "user",
    many: "users",
    table: "users",
    label: "t.username",
    version: "t.version",
    columns: &[
        Column {
            name: "username",
            label: "Username",
            sql: "t.username",
            sort: Some("t.username_key"),
            unique: true,
            ..Column::PLAIN
        },
        Column {
            name: "name",
            label: "Name",
            sql: "TRIM(CONCAT(t.first_name, ' ', t.last_name))",
            sort: Some("t.first_name"),
            ..Column::PLAIN
        },
        Column { name: "email", label: "Email", sql: "t.email", sort: Some("t.email"), ..Column::PLAIN },
        Column { name: "active", label: "Active", sql: "t.is_active", shown: Shown::YesNo, ..Column::PLAIN },
        Column { name: "staff", label: "Staff", sql: "t.is_staff", shown: Shown::YesNo, ..Column::PLAIN },
        Column {
            name: "joined",
            label: "Joined",
            sql: "t.date_joined",
            shown: Shown::Moment,
            sort: Some("t.date_joined"),
            ..Column::PLAIN
        },
    ],
    order: "-joined",
    search: &[Search { kind: &search::USERS, id: "t.id" }],
    filters: &[
        yes_no("active", "Active", "t.is_active"),
        yes_no("staff", "Staff", "t.is_staff"),
        yes_no("superuser", "Superuser", "t.is_superuser"),
        Filter {
            name: "group",
            label: "Group",
            by: FilterBy::Related {
                sql: "t.id IN (SELECT m.user_id FROM group_members m WHERE m.group_id = {id})",
                model: "groups",
            },
        },
    ],
    fieldsets: &[
        Fieldset {
            title: "",
            help: "",
            fields: &[
                Field {
                    name: "username",
                    label: "Username",
                    help: "Up to 150 letters, digits and @ . + - _",
                    sql: "t.username",
                    kind: Kind::Text { longest: 150 },
                    ..Field::PLAIN
                },
                Field {
                    name: "password",
                    label: "Password",
                    help: "At least 8 characters; not a common password, not all digits, not similar to the username.",
                    kind: PASSWORD,
                    access: FieldAccess::SetOnce,
                    ..Field::PLAIN
                },
                Field {
                    name: "first_name",
                    label: "First name",
                    sql: "t.first_name",
                    kind: Kind::Text { longest: 150 },
                    required: false,
                    ..Field::PLAIN
                },
                Field {
                    name: "last_name",
                    label: "Last name",
                    sql: "t.last_name",
                    kind: Kind::Text { longest: 150 },
                    required: false,
                    ..Field::PLAIN
                },
                Field {
                    name: "email",
                    label: "Email",
                    sql: "t.email",
                    kind: Kind::Text { longest: 254 },
                    ..Field::PLAIN
                },
            ],
        },
        Fieldset {
            title: "Permissions",
            help: "Only superusers can change staff permissions.",
            fields: &[
                Field {
                    name: "is_active",
                    label: "Active",
                    help: "Can log in. Deactivate a user instead of deleting the account.",
                    sql: "t.is_active",
                    kind: Kind::YesNo,
                    initial: "1",
                    ..Field::PLAIN
                },
                Field {
                    name: "is_staff",
                    label: "Staff",
                    help: "Can log in to this panel.",
                    sql: "t.is_staff",
                    kind: Kind::YesNo,
                    ..Field::PLAIN
                },
                Field {
                    name: "is_superuser",
                    label: "Superuser",
                    help: "Has all permissions without being in a group.",
                    sql: "t.is_superuser",
                    kind: Kind::YesNo,
                    ..Field::PLAIN
                },
                Field {
                    name: "groups",
                    label: "Groups",
                    help: "Staff have the permissions of all their groups.",
                    sql: "(SELECT GROUP_CONCAT(m.group_id) FROM group_members m WHERE m.user_id = t.id)",
                    kind: Kind::SeveralRelated { model: "groups" },
                    required: false,
                    ..Field::PLAIN
                },
            ],
        },
        Fieldset {
            title: "Dates",
            help: "",
            fields: &[
                Field {
                    name: "last_login",
                    label: "Last login to this panel",
                    sql: "t.last_login",
                    kind: Kind::Moment,
                    required: false,
                    access: FieldAccess::Shown,
                    ..Field::PLAIN
                },
                Field {
                    name: "date_joined",
                    label: "Joined",
                    sql: "t.date_joined",
                    kind: Kind::Moment,
                    access: FieldAccess::Shown,
                    ..Field::PLAIN
                },
            ],
        },
    ],
    actions: &[
        Action {
            name: "password",
            label: "Set password…",
            past: "Password set",
            about: "This logs the user out everywhere: in this panel and in the API.",
            needs: Permission::Change,
            asks: &[Field { name: "password", label: "New password", kind: PASSWORD, ..Field::PLAIN }],
            run: |app, staff, ids, values| Box::pin(set_passwords(app, staff, ids, values)),
            ..Action::PLAIN
        },
        Action {
            name: "off",
            label: "Deactivate…",
            past: "Deactivated",
            about: "They are logged out immediately and can't log in any more. Their bookings stay.",
            needs: Permission::Change,
            applies: "t.is_active = 1",
            run: |app, staff, ids, _| switch(app, staff, ids, false),
            ..Action::PLAIN
        },
        Action {
            name: "on",
            label: "Reactivate…",
            past: "Reactivated",
            about: "They can log in again.",
            needs: Permission::Change,
            applies: "t.is_active = 0",
            run: |app, staff, ids, _| switch(app, staff, ids, true),
            ..Action::PLAIN
        },
        Action {
            name: "erase",
            label: "Erase personal data…",
            past: "Personal data erased",
            about: "Removes the name, the email address and the password, also from the history, and ends the account. \
                    Orders stay, under a pseudonym. This can't be undone. Backups made before keep the data.",
            needs: Permission::Erase,
            applies: "t.is_staff = 0 AND t.is_superuser = 0",
            touches: Some(erasing::refusals),
            run: |app, _, ids, _| Box::pin(erasing::erase(app, ids)),
            ..Action::PLAIN
        },
    ],
    save: Some(|work, id, values| Box::pin(save_user(work, id, values))),
    notice: "CASE WHEN t.is_active = 0 THEN 'This user is deactivated and can''t log in.' ELSE '' END",
    kept: "Users are never deleted, because bookings and the log refer to them. Deactivate the account instead.",
    download: Some(Download {
        label: "Download personal data",
        also: &[("orders", Permission::View), ("bookings", Permission::View)],
        make: erasing::data,
    }),
    changed: |app, id| app.caches.users.changed(&id),
    ..Model::PLAIN
};

pub static GROUPS: Model = Model {
    name: "groups",
    one: "group",
    many: "groups",
    table: "staff_groups",
    label: "t.name",
    version: "t.version",
    columns: &[
        Column { name: "name", label: "Name", sql: "t.name", sort: Some("t.name"), ..Column::PLAIN },
        Column {
            name: "members",
            label: "Members",
            sql: "(SELECT COUNT(*) FROM group_members m WHERE m.group_id = t.id)",
            shown: Shown::Number,
            ..Column::PLAIN
        },
    ],
    order: "name",
    search: &[Search { kind: &search::GROUPS, id: "t.id" }],
    fieldsets: &[Fieldset {
        title: "",
        help: "",
        fields: &[
            Field { name: "name", label: "Name", sql: "t.name", kind: Kind::Text { longest: 150 }, ..Field::PLAIN },
            Field {
                name: "permissions",
                label: "Permissions",
                help: "The permissions of all members. Only superusers can change groups. \"Pay\" records payments; \
                       \"refund\" records refunds, which cancel the order; \"cancel\" of orders also cancels \
                       bookings; \"cancel\" of shows also needs \"cancel\" of orders.",
                sql: "(SELECT GROUP_CONCAT(p.permission) FROM group_permissions p WHERE p.group_id = t.id)",
                kind: Kind::Permissions,
                required: false,
                ..Field::PLAIN
            },
        ],
    }],
    save: Some(|work, id, values| Box::pin(save_group(work, id, values))),
    delete: Some(|work, id| Box::pin(delete_group(work, id))),
    used_by: &[UsedBy {
        model: "users",
        by: "t.id IN (SELECT m.user_id FROM group_members m WHERE m.group_id = {id})",
    }],
    for_superusers: true,
    ..Model::PLAIN
};

/// Passwords are hashed as for a login.
const PASSWORD: Kind = Kind::Password(|app, password, client| Box::pin(hash(app, password, client)));

async fn hash(app: &App, password: String, client: &WaitingClient) -> Result<String, ApiError> {
    Ok(app.passwords.hash(password, Purpose::Login, client).await?)
}

fn editor(staff: &Staff) -> Editor {
    Editor { id: staff.user_id, is_superuser: staff.is_superuser }
}

async fn save_user(work: &mut Work<'_>, id: Option<i64>, values: &FormValues) -> Result<i64, SaveError> {
    let mut groups: Vec<i64> = values.several("groups").iter().filter_map(|id| id.parse().ok()).collect();
    groups.sort_unstable();
    let account = Account {
        username: values.text("username").to_owned(),
        email: values.text("email").to_owned(),
        first_name: values.text("first_name").to_owned(),
        last_name: values.text("last_name").to_owned(),
        is_active: values.yes("is_active"),
        is_staff: values.yes("is_staff"),
        is_superuser: values.yes("is_superuser"),
        groups,
    };
    let is_staff = account.is_staff || account.is_superuser;
    if id.is_none() && !is_staff && !account.groups.is_empty() && !values.anyway {
        let text = "Without \"Staff\", the user can't log in to this panel, and the groups give no rights.";
        return Err(SaveError::Warnings(vec![text.to_owned()]));
    }
    match id {
        Some(id) => {
            editing::change(work.tx, editor(work.staff), id, &account).await?;
            Ok(id)
        }
        None => editing::add(work.tx, editor(work.staff), &account, password(values)).await,
    }
}

/// Returns the new password and its hash.
fn password(values: &FormValues) -> (&str, &str) {
    match values.fields.get("password") {
        Some(FieldValue::Password { plain, hash }) => (plain, hash),
        _ => ("", ""),
    }
}

async fn set_passwords(app: &App, staff: &Staff, ids: &[i64], values: &FormValues) -> Result<Report, SaveError> {
    let mut report = Report::default();
    for id in ids {
        match set_password(app, staff, *id, values, ids.len() == 1, &mut report).await {
            Err(SaveError::Db(error)) => return report.broken_off(&format!("User {id}"), error),
            outcome => outcome?,
        }
    }
    Ok(report)
}

async fn set_password(
    app: &App,
    staff: &Staff,
    id: i64,
    values: &FormValues,
    is_alone: bool,
    report: &mut Report,
) -> Result<(), SaveError> {
    let (plain, hash) = password(values);
    let mut tx = app.db.begin().await?;
    let Some(account) = store::account(&mut tx, id).await? else { return Ok(()) };
    match editing::set_password(&mut tx, editor(staff), id, plain, hash).await {
        Ok(()) => {
            tx.commit().await?;
            app.caches.users.changed(&id);
            report.done.push((id, account.username, Vec::new()));
            Ok(())
        }
        // Shown beside the field if only one user was selected.
        Err(SaveError::Faults(faults)) if is_alone => Err(SaveError::Faults(faults)),
        error => not_done(report, &account, error),
    }
}

fn switch<'a>(app: &'a App, staff: &'a Staff, ids: &'a [i64], on: bool) -> BoxFuture<'a, Result<Report, SaveError>> {
    Box::pin(async move {
        let mut report = Report::default();
        for id in ids {
            match switch_one(app, staff, *id, on, &mut report).await {
                Err(SaveError::Db(error)) => return report.broken_off(&format!("User {id}"), error),
                outcome => outcome?,
            }
        }
        Ok(report)
    })
}

async fn switch_one(app: &App, staff: &Staff, id: i64, on: bool, report: &mut Report) -> Result<(), SaveError> {
    let mut tx = app.db.begin().await?;
    let Some(account) = store::account(&mut tx, id).await? else { return Ok(()) };
    if account.is_active == on {
        return Ok(());
    }
    let after = Account { is_active: on, ..account.clone() };
    match editing::change(&mut tx, editor(staff), id, &after).await {
        Ok(()) => {
            tx.commit().await?;
            app.caches.users.changed(&id);
            let word = |is_active| if is_active { "Yes" } else { "No" }.to_owned();
            let change = FieldChange { field: "Active".to_owned(), before: word(!on), after: word(on) };
            report.done.push((id, account.username, vec![change]));
            Ok(())
        }
        error => not_done(report, &account, error),
    }
}

/// Reports why an account was not changed; an error of the database ends the action.
fn not_done(report: &mut Report, account: &Account, done: Result<(), SaveError>) -> Result<(), SaveError> {
    match done {
        Ok(()) => Ok(()),
        Err(SaveError::Faults(faults)) => {
            let faults: Vec<String> = faults.into_iter().map(|(_, text)| text).collect();
            report.not_done.push(format!("{}: {}", account.username, faults.join(" ")));
            Ok(())
        }
        Err(error) => Err(error),
    }
}

async fn save_group(work: &mut Work<'_>, id: Option<i64>, values: &FormValues) -> Result<i64, SaveError> {
    let (name, permissions) = (values.text("name"), values.several("permissions"));
    editing::put_group(work.tx, editor(work.staff), id, name, permissions).await
}

/// Deletes a group, and logs for each member that they lost it.
async fn delete_group(work: &mut Work<'_>, id: i64) -> Result<(), SaveError> {
    for (user_id, username, group) in editing::delete_group(work.tx, editor(work.staff), id).await? {
        let change = FieldChange { field: "Groups".to_owned(), before: group, after: String::new() };
        log::add(work.tx, work.staff, "users", user_id, &username, "change", &[change]).await?;
    }
    Ok(())
}
