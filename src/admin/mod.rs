//! The admin panel, as far as it is the same for any models. It knows nothing of cinemas: a feature tells what its models
//! are in its `admin.rs`, as a [`Model`]; the panel makes lists, forms, history and permissions of it. It reads by itself;
//! every change is made by the feature's own function.

pub mod actions;
pub mod assets;
pub mod change;
pub mod delete;
pub mod export;
pub mod fields;
pub mod guard;
pub mod history;
pub mod index;
pub mod list;
pub mod login;
pub mod lookup;
pub mod moments;
pub mod notes;
pub mod render;
pub mod session;
pub mod store;

use std::collections::BTreeMap;
use std::pin::Pin;

use crate::app::App;
use crate::db::{DbError, Tx, Value};

pub use guard::Staff;

/// What the panel shows: the models in their groups, in the order they are shown in.
#[derive(Debug)]
pub struct Site {
    pub title: &'static str,
    pub groups: &'static [(&'static str, &'static [&'static Model])],
    /// What the index shows above the models: made by the feature that knows what matters today.
    pub board: for<'a> fn(&'a App, &'a Staff) -> Doing<'a, Result<String, DbError>>,
}

impl Site {
    pub fn models(&self) -> impl Iterator<Item = &'static Model> {
        self.groups.iter().flat_map(|(_, models)| models.iter().copied())
    }

    /// What groups can be allowed: written `movies.change`, and what people read.
    pub fn permissions(&self) -> Vec<(String, String)> {
        let of = |model: &'static Model| {
            Permission::ALL.into_iter().filter(|permission| model.has(*permission)).map(|permission| {
                (format!("{}.{}", model.name, permission.name()), format!("{}: {}", model.many, permission.name()))
            })
        };
        self.models().flat_map(of).collect()
    }

    /// The model with this name.
    pub fn model(&self, name: &str) -> Option<&'static Model> {
        self.models().find(|model| model.name == name)
    }
}

/// What an async function of a description gives.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What may be done with a model's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    View,
    Add,
    Change,
    Delete,
}

impl Permission {
    pub const ALL: [Permission; 4] = [Permission::View, Permission::Add, Permission::Change, Permission::Delete];

    pub fn name(self) -> &'static str {
        match self {
            Permission::View => "view",
            Permission::Add => "add",
            Permission::Change => "change",
            Permission::Delete => "delete",
        }
    }
}

/// A kind of object, told as data. Texts called SQL are expressions over `t`, the model's table, and what `joins` adds;
/// `{now}`, `{today}` and `{tomorrow}` in them are moments, see [`moments`]. They are constants of the program: values are
/// parameters.
#[derive(Debug)]
pub struct Model {
    /// In URLs and permissions: `movies`.
    pub name: &'static str,
    pub one: &'static str,
    pub many: &'static str,
    pub table: &'static str,
    /// What the columns need beside the table, as `JOIN movies m ON m.id = t.movie_id`: each finds just one row.
    pub joins: &'static str,
    /// Only rows for which this SQL is true are objects of the model; empty for all.
    pub only: &'static str,
    /// SQL for what an object is called.
    pub label: &'static str,
    /// SQL for a number that is another with each change of an object; empty where objects are not edited.
    pub version: &'static str,
    pub columns: &'static [Column],
    /// The sort that lists begin with, as in the URL: the name of a column, with a minus for descending.
    pub order: &'static str,
    pub search: &'static [Search],
    /// Finds objects by something that is no column, as a code that is computed from the id: their ids.
    pub exact: Option<Exact>,
    pub filters: &'static [Filter],
    /// SQL of the moment, of the table or of one that is joined, by which a list is looked through by year, month and day of
    /// the cinema's time zone. It has an index.
    pub dates: Option<&'static str>,
    pub per_page: i64,
    pub fieldsets: &'static [Fieldset],
    pub inlines: &'static [Inline],
    pub actions: &'static [Action],
    /// Adds an object (no id), or changes one. None where objects are not edited.
    pub save: Option<Save>,
    /// Whether objects are added here.
    pub adds: bool,
    /// Removes one, or says why it must stay. Asked before the page offers it, too, and then taken back.
    pub delete: Option<Delete>,
    /// Why objects are never deleted, and what to do instead; for models without `delete`.
    pub kept: &'static str,
    pub used_by: &'static [UsedBy],
    /// Only superusers change its objects, whatever groups say.
    pub for_superusers: bool,
    /// Told after a change is durable, so that caches follow.
    pub changed: fn(&App, i64),
}

/// What most models have. A description names the rest: `Model { name: …, ..Model::PLAIN }`.
impl Model {
    pub const PLAIN: Model = Model {
        name: "",
        one: "",
        many: "",
        table: "",
        joins: "",
        only: "",
        label: "t.id",
        version: "",
        columns: &[],
        order: "-id",
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
        delete: None,
        kept: "",
        used_by: &[],
        for_superusers: false,
        changed: |_, _| {},
    };

    /// Whether there is anything that groups could be allowed by this permission.
    pub fn has(&self, permission: Permission) -> bool {
        let acts = self.actions.iter().any(|action| action.needs == permission);
        match permission {
            Permission::View => true,
            _ if self.for_superusers => false,
            Permission::Add => self.save.is_some() && self.adds || acts,
            Permission::Change => self.save.is_some() || acts,
            Permission::Delete => self.delete.is_some() || acts,
        }
    }

    pub fn fields(&self) -> impl Iterator<Item = &'static Field> + use<> {
        self.fieldsets.iter().flat_map(|fieldset| fieldset.fields)
    }
}

/// A column of a list.
#[derive(Debug)]
pub struct Column {
    /// In the URL, when the list is sorted by it, and in exports.
    pub name: &'static str,
    pub label: &'static str,
    pub sql: &'static str,
    pub shown: Shown,
    /// SQL that an index sorts by, over the table alone. None: the list can't be sorted by this column.
    pub sort: Option<&'static str>,
    /// No two objects have the same there, by a unique index.
    pub unique: bool,
    /// The field of the form that can be edited in the list.
    pub edits: Option<&'static str>,
}

impl Column {
    pub const PLAIN: Column =
        Column { name: "", label: "", sql: "", shown: Shown::Text, sort: None, unique: false, edits: None };
}

/// How a cell is shown.
#[derive(Debug, Clone, Copy)]
pub enum Shown {
    Text,
    Number,
    /// UTC microseconds, shown in the cinema's time zone.
    Moment,
    YesNo,
    /// Stored words and what people read.
    Choice(&'static [(&'static str, &'static str)]),
    /// A part of a whole, as a bar; the SQL of the whole.
    Bar {
        of: &'static str,
    },
    /// A link to an object of another model; the SQL of its id.
    Link {
        model: &'static str,
        id: &'static str,
    },
    /// Made from the cell's number by the program.
    Made(for<'a> fn(&'a App, i64) -> Doing<'a, Result<String, DbError>>),
}

/// Something that words of a search are compared with: a word finds what begins with it.
#[derive(Debug)]
pub struct Search {
    /// The SQL of an indexed column, of the table or of one that is joined.
    pub column: &'static str,
    pub kind: SearchKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchKind {
    /// Begins with the word, in any letter case; the index is NOCASE on SQLite.
    Text,
    /// Begins with the word as usernames are compared.
    Folded,
    /// Is this whole number.
    Number,
}

/// A way to see only some of a list.
#[derive(Debug)]
pub struct Filter {
    /// In the URL.
    pub name: &'static str,
    pub label: &'static str,
    pub by: FilterBy,
}

#[derive(Debug)]
pub enum FilterBy {
    /// The SQL is this word or number.
    Choice { sql: &'static str, choices: &'static [(&'static str, &'static str)], counted: bool },
    /// Each choice has a condition of its own: name, label, SQL.
    Conditions(&'static [(&'static str, &'static str, &'static str)]),
    /// The SQL is the id of an object of this model, which people choose by its name; or, with `{id}` for that id in it, a
    /// condition.
    Related { sql: &'static str, model: &'static str },
}

/// Fields that stand together.
#[derive(Debug)]
pub struct Fieldset {
    /// Empty for the first.
    pub title: &'static str,
    pub help: &'static str,
    pub fields: &'static [Field],
}

/// A field of a form.
#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    pub label: &'static str,
    pub help: &'static str,
    /// SQL of its value; empty for what can't be read, as a password.
    pub sql: &'static str,
    pub kind: Kind,
    pub required: bool,
    /// What its control holds when an object is added.
    pub initial: &'static str,
    pub access: FieldAccess,
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
    };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldAccess {
    Edited,
    /// Given when the object is added, and shown from then on.
    SetOnce,
    /// Only shown, as [`Field::kind`] says.
    Shown,
}

/// What a field takes.
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
    Choice(&'static [(&'static str, &'static str)]),
    /// A date and a time on the cinema's clocks; UTC microseconds in the database.
    Moment,
    /// A date on the cinema's calendar; given as text, `2026-11-23`. Only for what actions ask.
    Day,
    /// The id of an object of this model.
    Related {
        model: &'static str,
    },
    /// Any of these; the SQL gives what is chosen, separated by commas.
    Several(fn(&Site) -> Vec<(String, String)>),
    /// Any objects of this model; the SQL gives their ids, separated by commas.
    SeveralRelated {
        model: &'static str,
    },
    /// Twice the same; given to the save as its hash, and never shown.
    Password,
    /// Shown only: made from the number by the program.
    Made(for<'a> fn(&'a App, i64) -> Doing<'a, Result<String, DbError>>),
}

/// What was given for a form's fields, by name.
#[derive(Debug, Clone, Default)]
pub struct Values {
    pub of: BTreeMap<&'static str, Given>,
    /// Warnings were read and are to be passed over.
    pub anyway: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    Null,
    Int(i64),
    Text(String),
    Several(Vec<String>),
    Password { plain: String, hash: String },
}

impl Values {
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.of.get(name) {
            Some(Given::Int(value)) => Some(*value),
            _ => None,
        }
    }

    pub fn text(&self, name: &str) -> &str {
        match self.of.get(name) {
            Some(Given::Text(value)) => value,
            _ => "",
        }
    }

    pub fn yes(&self, name: &str) -> bool {
        self.int(name) == Some(1)
    }

    pub fn several(&self, name: &str) -> &[String] {
        match self.of.get(name) {
            Some(Given::Several(values)) => values,
            _ => &[],
        }
    }
}

/// What a change runs in: one transaction, with the line in the log.
pub struct Work<'a> {
    pub app: &'a App,
    pub tx: &'a mut Tx,
    pub staff: &'a Staff,
}

/// Why a change was not made.
#[derive(Debug)]
pub enum Refused {
    /// By field; an empty name for the form as a whole.
    Faults(Vec<(&'static str, String)>),
    /// What speaks against it; the same again with [`Values::anyway`] is done.
    Warnings(Vec<String>),
    /// It is not deleted: why, and the action of its model, by name, that does what is possible.
    Stays {
        why: String,
        instead: Option<&'static str>,
    },
    Db(DbError),
}

impl From<DbError> for Refused {
    fn from(error: DbError) -> Self {
        Refused::Db(error)
    }
}

/// Gives the ids of what this word of a search names.
pub type Exact = for<'a> fn(&'a App, &'a str) -> Doing<'a, Result<Vec<i64>, DbError>>;

/// Gives the object's id.
pub type Save = for<'a> fn(&'a mut Work<'_>, Option<i64>, &'a Values) -> Doing<'a, Result<i64, Refused>>;

pub type Delete = for<'a> fn(&'a mut Work<'_>, i64) -> Doing<'a, Result<(), Refused>>;

/// Objects of another model that are edited with an object: the fields of that model's own form, but for `by`.
#[derive(Debug)]
pub struct Inline {
    pub model: &'static str,
    /// The field of that model that names this object.
    pub by: &'static str,
    /// The fields that are shown, in this order.
    pub fields: &'static [&'static str],
    /// SQL of the order they are shown in, and the condition for those that are.
    pub order: &'static str,
    pub only: &'static str,
    pub help: &'static str,
    /// Empty rows for new ones.
    pub extra: usize,
}

/// What depends on an object, for the page before it is deleted.
#[derive(Debug)]
pub struct UsedBy {
    pub model: &'static str,
    /// SQL over that model's table: the id of the object; or, with `{id}` for that id in it, a condition.
    pub by: &'static str,
}

/// Something that is done with chosen objects.
#[derive(Debug)]
pub struct Action {
    pub name: &'static str,
    /// As on a button: `Cancel bookings…`.
    pub label: &'static str,
    /// What will happen, for the page that asks for confirmation.
    pub about: &'static str,
    pub needs: Permission,
    /// What it needs besides, as it changes objects of other models too.
    pub also: &'static [(&'static Model, Permission)],
    /// What it asks before it runs.
    pub asks: &'static [Field],
    /// It gets all of the chosen objects at once, and fewer can be chosen.
    pub whole: bool,
    pub run: Run,
}

impl Action {
    pub const PLAIN: Action = Action {
        name: "",
        label: "",
        about: "",
        needs: Permission::Change,
        also: &[],
        asks: &[],
        whole: false,
        run: |_, _, _, _| Box::pin(async { Ok(Report::default()) }),
    };
}

/// Gets some of the chosen objects, at most [`actions::CHUNK`] at once, or all where it is [`Action::whole`].
pub type Run = for<'a> fn(&'a App, &'a Staff, &'a [i64], &'a Values) -> Doing<'a, Result<Report, Refused>>;

/// What an action did.
#[derive(Debug, Default)]
pub struct Report {
    /// Objects that were changed: id, what it is called, and what changed, for the log.
    pub done: Vec<(i64, String, Vec<FieldChange>)>,
    /// What could not be done, for people.
    pub not_done: Vec<String>,
    /// What else people should know of it.
    pub notes: Vec<String>,
}

impl Report {
    /// Ends an action that the database broke off at an object: what was done before is told, and noted in the log.
    ///
    /// # Errors
    /// Where nothing was done yet.
    pub fn broken_off(mut self, object: &str, error: DbError) -> Result<Report, Refused> {
        if self.done.is_empty() {
            return Err(error.into());
        }
        tracing::error!(%error, "an action broke off");
        self.not_done
            .push(format!("{object}, and what follows it: the database could not do it. Look, and try again."));
        Ok(self)
    }
}

/// A field before and after, as people read it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FieldChange {
    pub field: String,
    pub before: String,
    pub after: String,
}

impl From<Given> for Value {
    fn from(given: Given) -> Value {
        match given {
            Given::Null => Value::Null,
            Given::Int(value) => Value::Int(value),
            Given::Text(text) => Value::Text(text),
            Given::Several(texts) => Value::Text(texts.join(",")),
            Given::Password { hash, .. } => Value::Text(hash),
        }
    }
}
