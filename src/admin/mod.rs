//! The generic part of the admin panel. It knows nothing about cinemas: a feature describes each of its models as a
//! [`Model`] in its `admin.rs`, and the panel builds lists, forms, history and permissions from that. The panel reads
//! the data itself; every change is made by the feature's own function.

pub mod actions;
pub mod change;
mod dates;
pub mod delete;
pub mod download;
pub mod export;
pub mod fields;
pub mod guard;
pub mod history;
pub mod index;
pub mod list;
pub mod login;
pub mod lookup;
pub mod query;
pub mod render;
mod report;
pub mod spreadsheet;
mod staff;
mod transaction;
mod urls;
mod values;
pub mod words;

use futures_util::future::BoxFuture;

use crate::db::{DbError, Decode, Result, Tx, Value};
use crate::error::ApiError;
use crate::identity::client::WaitingClient;
use crate::search;
use crate::state::App;

pub use crate::web::html::forms::SaveError;
pub use report::{FieldChange, Report};
pub use staff::{Permission, Staff};
pub use values::{FieldValue, FormValues};

/// The contents of the panel: the models in their groups, in display order.
#[derive(Debug)]
pub struct Site {
    pub groups: &'static [(&'static str, &'static [&'static Model])],
    /// Pages that belong to no model; the menu begins with them.
    pub pages: &'static [PageLink],
    /// Renders the part of the index above the models. It belongs to the feature that knows what matters today.
    pub board: for<'a> fn(&'a App, &'a Staff) -> BoxFuture<'a, Result<String>>,
}

impl Site {
    pub fn models(&self) -> impl Iterator<Item = &'static Model> {
        self.groups.iter().flat_map(|(_, models)| models.iter().copied())
    }

    /// Returns the permissions that a group can have, such as `movies.change`.
    pub fn permissions(&self) -> Vec<String> {
        let of = |model: &'static Model| {
            Permission::ALL.into_iter().filter(|permission| model.has(*permission)).map(|one| one.key(model))
        };
        self.models().flat_map(of).collect()
    }

    /// Returns the model with this name.
    pub fn model(&self, name: &str) -> Option<&'static Model> {
        self.models().find(|model| model.name == name)
    }
}

/// A kind of object, described as data. Texts called SQL are expressions over `t`, the model's table, and the tables in
/// `joins`; `{now}`, `{today}` and `{tomorrow}` in them are timestamps, see [`query::time_sql`]. They are constants of the
/// program; values are parameters.
#[derive(Debug)]
pub struct Model {
    /// Used in URLs and permissions: `movies`.
    pub name: &'static str,
    pub one: &'static str,
    pub many: &'static str,
    pub table: &'static str,
    /// Tables that the columns need besides `t`, each after the ones that it depends on.
    pub joins: &'static [Join],
    /// Only rows for which this SQL is true are objects of the model; empty for all.
    pub only: &'static str,
    /// SQL for an object's display name.
    pub label: &'static str,
    /// SQL for the object's version, which changes with every edit, to detect concurrent ones. Empty for read-only
    /// models.
    pub version: &'static str,
    pub columns: &'static [Column],
    /// The default sort of lists, as in the URL: the name of a column, with a minus for descending.
    pub order: &'static str,
    /// Without another order, lists begin with the next object by `dates`, which is the column of `order`, too. Past
    /// ones follow, latest first.
    pub upcoming_first: bool,
    pub search: &'static [Search],
    /// Finds objects by something that is not a column, such as a code that is computed from the id.
    pub exact: Option<Exact>,
    pub filters: &'static [Filter],
    /// SQL of the timestamp by which staff browse a list by year, month, week and business day. It is an
    /// indexed column of the table or of a joined one.
    pub dates: Option<&'static str>,
    pub per_page: i64,
    pub fieldsets: &'static [Fieldset],
    pub inlines: &'static [Inline],
    pub actions: &'static [Action],
    /// Adds an object (no id) or changes one. None if objects are not edited.
    pub save: Option<Save>,
    /// Whether objects can be added in the panel.
    pub adds: bool,
    /// The page on which all objects are edited together, instead of the list and the forms; empty for none.
    pub edited_on: &'static str,
    /// Deletes an object, or says why it must be kept. The page that asks for confirmation also runs it and rolls it
    /// back, to know whether it would be refused.
    pub delete: Option<Delete>,
    /// Why objects are never deleted and what to do instead; for models without `delete`.
    pub kept: &'static str,
    /// SQL of a text to show at the top of an object's form; it is empty if there is nothing to say.
    pub notice: &'static str,
    pub used_by: &'static [UsedBy],
    /// Pages about an object that are not part of the generic panel.
    pub pages: &'static [PageLink],
    /// A part of an object's page that is not part of the generic panel, below its form.
    pub below: Option<Below>,
    /// Only superusers may change its objects, whatever permissions a group has.
    pub for_superusers: bool,
    /// Everything that is stored about an object, to download.
    pub download: Option<Download>,
    /// Finds what happened to an object and is not in the log, for its history.
    pub past: Option<Past>,
    /// Called after a change is committed, to update caches.
    pub changed: fn(&App, i64),
}

/// Defaults; a description sets what differs: `Model { name: …, ..Model::PLAIN }`.
impl Model {
    pub const PLAIN: Model = Model {
        name: "",
        one: "",
        many: "",
        table: "",
        joins: &[],
        only: "",
        label: "t.id",
        version: "",
        columns: &[],
        order: "-id",
        upcoming_first: false,
        search: &[],
        exact: None,
        filters: &[],
        dates: None,
        per_page: 50,
        fieldsets: &[],
        inlines: &[],
        actions: &[],
        save: None,
        adds: true,
        edited_on: "",
        delete: None,
        kept: "",
        notice: "",
        used_by: &[],
        pages: &[],
        below: None,
        for_superusers: false,
        download: None,
        past: None,
        changed: |_, _| {},
    };

    /// Whether granting this permission to a group would allow anything.
    pub fn has(&self, permission: Permission) -> bool {
        let acts = self.actions.iter().any(|action| action.needs == permission);
        match permission {
            Permission::View => true,
            _ if self.for_superusers => false,
            Permission::Add => self.save.is_some() && self.adds || acts,
            Permission::Change => self.save.is_some() || !self.edited_on.is_empty() || acts,
            Permission::Delete => self.delete.is_some() || acts,
            Permission::Pay | Permission::Refund | Permission::Cancel | Permission::Erase => acts,
        }
    }

    /// Returns the URL of the page with all of its objects.
    pub fn url(&self) -> String {
        match self.edited_on {
            "" => format!("/admin/{}/", self.name),
            url => url.to_owned(),
        }
    }

    /// Returns the columns of its lists.
    pub fn listed(&self) -> Vec<&'static Column> {
        self.columns.iter().filter(|column| column.exported_to.is_empty()).collect()
    }

    pub fn fields(&self) -> impl Iterator<Item = &'static Field> + use<> {
        self.fieldsets.iter().flat_map(|fieldset| fieldset.fields)
    }
}

/// A table that a model joins. Each object has just one row in it.
#[derive(Debug, Clone, Copy)]
pub struct Join {
    pub table: &'static str,
    pub alias: &'static str,
    /// The column, of `t` or of a table joined before, that holds the id of the row: `t.movie_id`.
    pub on: &'static str,
    /// The row may be missing.
    pub is_optional: bool,
    /// How to find the model's rows `t` from a row of this table: what follows `JOIN`, with each `t` once. Empty if an
    /// index of the model's table begins with the column `on`.
    pub back: &'static str,
}

impl Join {
    pub const fn new(table: &'static str, alias: &'static str, on: &'static str) -> Join {
        Join { table, alias, on, is_optional: false, back: "" }
    }
}

/// A column of a list.
#[derive(Debug)]
pub struct Column {
    /// Used in the URL when the list is sorted by it, and in exports.
    pub name: &'static str,
    pub label: &'static str,
    pub sql: &'static str,
    pub shown: Shown,
    /// SQL that an index sorts by, over `t` alone. None if the list can't be sorted by this column.
    pub sort: Option<&'static str>,
    /// A unique index guarantees that no two objects have the same value.
    pub unique: bool,
    /// The form field that can be edited in the list.
    pub edits: Option<&'static str>,
    /// Where the cell leads; not for the first column, which leads to the object itself.
    pub leads: Leads,
    /// If it names a model, the column is only in exports, and only for staff who may view that model.
    pub exported_to: &'static str,
}

impl Column {
    pub const PLAIN: Column = Column {
        name: "",
        label: "",
        sql: "",
        shown: Shown::Text,
        sort: None,
        unique: false,
        edits: None,
        leads: Leads::Nowhere,
        exported_to: "",
    };
}

/// Where a value leads, if the user may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leads {
    Nowhere,
    /// To the object of this model whose id is the value.
    To(&'static str),
    /// To the list of this model's objects that belong to the object. A filter of that model finds them.
    Objects(&'static str),
    /// To a page about the object; `{id}` in it is the object's id.
    Page(&'static str),
}

/// How a cell is shown.
#[derive(Debug, Clone, Copy)]
pub enum Shown {
    Text,
    Number,
    /// UTC microseconds, shown in the cinema's time zone.
    Moment,
    YesNo,
    /// Stored words and their labels.
    Choice(&'static [(&'static str, &'static str)]),
    /// A part of a whole, as a bar; `of` is the SQL of the whole.
    Bar {
        of: &'static str,
    },
    /// A link to an object of another model; `id` is the SQL of its id.
    Link {
        model: &'static str,
        id: &'static str,
    },
    /// Text that the program computes from the cell's number.
    Made(for<'a> fn(&'a App, i64) -> BoxFuture<'a, Result<String>>),
}

/// Words that find objects: their own, or those of something that they belong to. A word of a search matches words that
/// begin with it. Objects are also found by their id.
#[derive(Debug)]
pub struct Search {
    pub kind: &'static search::Kind,
    /// The column of the table, or of a joined one, with the id of the thing that has the words. It has an index.
    pub id: &'static str,
}

/// A choice that narrows a list.
#[derive(Debug)]
pub struct Filter {
    /// Its parameter in the URL.
    pub name: &'static str,
    pub label: &'static str,
    pub by: FilterBy,
}

#[derive(Debug)]
pub enum FilterBy {
    /// The SQL equals the chosen word or number.
    Choice { sql: &'static str, choices: &'static [(&'static str, &'static str)], counted: bool },
    /// Each choice has its own condition: name, label, SQL.
    Conditions(&'static [(&'static str, &'static str, &'static str)]),
    /// The SQL is the id of an object of this model, which people choose by its name. If it contains `{id}`, it is a
    /// condition instead, with that id in the place of `{id}`.
    Related { sql: &'static str, model: &'static str },
    /// Like `Related`, but people choose it only by a link from the object, see [`Leads::Objects`].
    Linked { sql: &'static str, model: &'static str },
}

impl FilterBy {
    /// Returns the model whose objects the filter is about.
    pub fn model(&self) -> Option<&'static str> {
        match self {
            FilterBy::Related { model, .. } | FilterBy::Linked { model, .. } => Some(model),
            FilterBy::Choice { .. } | FilterBy::Conditions(_) => None,
        }
    }
}

/// A group of fields in a form.
#[derive(Debug)]
pub struct Fieldset {
    /// Empty for the first group.
    pub title: &'static str,
    pub help: &'static str,
    pub fields: &'static [Field],
}

/// A field of a form.
#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    pub label: &'static str,
    /// `{zone}` in it is the cinema's time zone.
    pub help: &'static str,
    /// SQL of its value; empty if the value can't be read, as a password.
    pub sql: &'static str,
    pub kind: Kind,
    pub required: bool,
    /// The initial value of its control when an object is added. For a day, `week` is the first day
    /// of the list's period, or else of this week, and `day` is the first day of that period, or else today.
    pub initial: &'static str,
    pub access: FieldAccess,
    /// Where the value leads if it is read-only.
    pub leads: Leads,
}

impl Field {
    pub const PLAIN: Field = Field {
        name: "",
        label: "",
        help: "",
        sql: "",
        kind: Kind::Text { longest: 255 },
        required: true,
        initial: "",
        access: FieldAccess::Edited,
        leads: Leads::Nowhere,
    };

    /// Returns a read-only field.
    pub const fn shown(name: &'static str, label: &'static str, sql: &'static str, kind: Kind) -> Field {
        Field { name, label, sql, kind, access: FieldAccess::Shown, ..Field::PLAIN }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldAccess {
    Edited,
    /// Set when the object is added, and read-only from then on.
    SetOnce,
    /// Read-only, displayed as [`Field::kind`] says.
    Shown,
}

/// The type of a field's value.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Text {
        longest: usize,
    },
    Number {
        least: i64,
        most: i64,
    },
    YesNo,
    /// Hundredths of a percent, which people enter as a percentage: 700 is 7%.
    Percent,
    Choice(&'static [(&'static str, &'static str)]),
    /// One of the options that this function returns. [`Model::save`] checks that the value is one of them.
    Offered(Offers),
    /// A date and a time in the cinema's time zone; UTC microseconds in the database.
    Moment,
    /// A date in the cinema's time zone, passed on as text: `2026-11-23`. Only for the fields of actions.
    Day,
    /// The id of an object of this model.
    Related {
        model: &'static str,
    },
    /// Any of the permissions that a group can have; the SQL returns the chosen ones, separated by commas.
    Permissions,
    /// Any objects of this model; the SQL returns their ids, separated by commas.
    SeveralRelated {
        model: &'static str,
    },
    /// Entered twice, passed to the save as the hash that this function returns, and never shown.
    Password(HashPassword),
    /// Read-only: text that the program computes from the field's number.
    Made(for<'a> fn(&'a App, i64) -> BoxFuture<'a, Result<String>>),
}

impl Kind {
    /// Whether a field of this kind can have several values.
    pub fn is_several(&self) -> bool {
        matches!(self, Kind::Permissions | Kind::SeveralRelated { .. })
    }

    /// Returns the value of an empty field.
    pub fn empty(&self) -> FieldValue {
        match self {
            Kind::Text { .. } | Kind::Choice(_) | Kind::Offered(_) => FieldValue::Text(String::new()),
            Kind::YesNo => FieldValue::Int(0),
            kind if kind.is_several() => FieldValue::Several(Vec::new()),
            _ => FieldValue::Null,
        }
    }

    /// Converts a cell to a field's value.
    pub fn read_cell(&self, cell: Value) -> Result<FieldValue> {
        let wrong = |cell: Value| DbError::Other(format!("{cell:?} is not a value of a {self:?}"));
        Ok(match (self, cell) {
            (kind, Value::Null) if kind.is_several() => FieldValue::Several(Vec::new()),
            (_, Value::Null) => FieldValue::Null,
            (Kind::Choice(_) | Kind::Offered(_), Value::Int(number)) => FieldValue::Text(number.to_string()),
            (Kind::Text { .. } | Kind::Day | Kind::Password(_) | Kind::Choice(_) | Kind::Offered(_), cell) => {
                FieldValue::Text(String::decode(cell).map_err(wrong)?)
            }
            (Kind::Permissions | Kind::SeveralRelated { .. }, cell) => {
                FieldValue::Several(values::split_list(&[String::decode(cell).map_err(wrong)?]))
            }
            (_, cell) => FieldValue::Int(i64::decode(cell).map_err(wrong)?),
        })
    }
}

/// The context of a change: one transaction, which also writes the log entry.
pub struct Work<'a> {
    pub app: &'a App,
    pub tx: &'a mut Tx,
    pub staff: &'a Staff,
}

/// A file with everything that is stored about an object.
#[derive(Debug, Clone, Copy)]
pub struct Download {
    /// The text of its link.
    pub label: &'static str,
    /// Permissions on other models that it needs, because it contains their objects.
    pub also: &'static [(&'static str, Permission)],
    /// Returns None if there is no such object.
    pub make: for<'a> fn(&'a App, i64) -> BoxFuture<'a, Result<Option<serde_json::Value>>>,
}

/// Something that happened to an object, as its row says.
#[derive(Debug, Clone)]
pub struct PastEvent {
    /// UTC microseconds.
    pub at: i64,
    /// Who did it.
    pub by: String,
    /// The deed, such as `Cancelled`.
    pub what: String,
}

pub type Past = for<'a> fn(&'a App, i64) -> BoxFuture<'a, Result<Vec<PastEvent>>>;

/// Returns HTML about the object with this id.
pub type Below = for<'a> fn(&'a guard::Page, i64) -> BoxFuture<'a, Result<String, ApiError>>;

/// Returns the options of a field, value and text, for the object with this id.
pub type Offers = for<'a> fn(&'a App, Option<i64>) -> BoxFuture<'a, Result<Vec<(String, String)>>>;

/// Returns the ids of the objects that this word of a search names.
pub type Exact = for<'a> fn(&'a App, &'a str) -> BoxFuture<'a, Result<Vec<i64>>>;

/// Hashes a password. That is slow, so it runs outside the async threads and before the transaction begins.
pub type HashPassword = for<'a> fn(&'a App, String, &'a WaitingClient) -> BoxFuture<'a, Result<String, ApiError>>;

/// Returns the object's id.
pub type Save = for<'a> fn(&'a mut Work<'_>, Option<i64>, &'a FormValues) -> BoxFuture<'a, Result<i64, SaveError>>;

pub type Delete = for<'a> fn(&'a mut Work<'_>, i64) -> BoxFuture<'a, Result<(), SaveError>>;

/// Objects of another model that are edited together with an object: the fields of that model's own form except `by`.
#[derive(Debug)]
pub struct Inline {
    pub model: &'static str,
    /// The field of that model that refers to this object.
    pub by: &'static str,
    /// The fields to show, in this order.
    pub fields: &'static [&'static str],
    /// SQL of the order in which the objects are shown.
    pub order: &'static str,
    /// SQL of a condition for the objects that are shown; empty for all.
    pub only: &'static str,
    pub help: &'static str,
    /// How many empty rows there are for new objects.
    pub extra: usize,
}

/// Objects of another model that depend on an object, for the page before it is deleted.
#[derive(Debug)]
pub struct UsedBy {
    pub model: &'static str,
    /// SQL over that model's table: the id of the object, or a condition with `{id}` in the place of that id.
    pub by: &'static str,
}

/// A link to another page: from an object's form to one about it, or from the menu.
#[derive(Debug)]
pub struct PageLink {
    pub label: &'static str,
    /// `{id}` in it is the object's id.
    pub url: &'static str,
    /// The link is shown to users who may see this model.
    pub model: &'static str,
}

/// An operation on selected objects.
#[derive(Debug)]
pub struct Action {
    pub name: &'static str,
    /// The text of its button: `Cancel bookings…`.
    pub label: &'static str,
    /// What the log says of its objects: `Cancelled`.
    pub past: &'static str,
    /// What will happen, for the confirmation page.
    pub about: &'static str,
    pub needs: Permission,
    /// Permissions on other models, by their names, that it needs as well, because it changes their objects too.
    pub also: &'static [(&'static str, Permission)],
    /// SQL of a condition for the objects that it applies to; empty for all. It is not offered for others.
    pub applies: &'static str,
    /// Counts what it touches, for the confirmation page.
    pub touches: Option<Touches>,
    /// The fields that the confirmation page asks for.
    pub asks: &'static [Field],
    /// It gets all selected objects in one call, so fewer can be selected.
    pub whole: bool,
    /// It needs no selected objects: a link above the list leads to it.
    pub alone: bool,
    pub run: Run,
}

impl Action {
    pub const PLAIN: Action = Action {
        name: "",
        label: "",
        past: "",
        about: "",
        needs: Permission::Change,
        also: &[],
        applies: "",
        touches: None,
        asks: &[],
        whole: false,
        alone: false,
        run: |_, _, _, _| Box::pin(async { Ok(Report::default()) }),
    };
}

/// Returns sentences about everything that an action with these objects would touch.
pub type Touches = for<'a> fn(&'a App, &'a [i64]) -> BoxFuture<'a, Result<Vec<String>>>;

/// Gets at most [`actions::CHUNK`] of the selected objects in one call, or all of them if it is [`Action::whole`].
pub type Run = for<'a> fn(&'a App, &'a Staff, &'a [i64], &'a FormValues) -> BoxFuture<'a, Result<Report, SaveError>>;
