//! Tills in the admin panel: opening and closing them, and the money of orders.

use futures_util::future::BoxFuture;

use super::store::{self, TillDay};
use crate::admin::{
    Action, Column, Field, FieldChange, Fieldset, Filter, FilterBy, FormValues, Join, Kind, Model, Permission, Report,
    SaveError, Shown, Staff, UsedBy, Work,
};
use crate::db::DbError;
use crate::desk::ledger::{AtTill, EntryKind, Method};
use crate::money::PRICE_MAX;
use crate::state::App;
use crate::time::clock;

/// Writes an amount of the cinema's currency.
pub fn amount(app: &App, amount: i64) -> BoxFuture<'_, Result<String, DbError>> {
    Box::pin(async move { Ok(app.config.currency.write(amount)) })
}

const AMOUNT: Field = Field {
    name: "amount",
    label: "Amount",
    kind: Kind::Text { longest: 20 },
    help: "Such as 50 or 12.50.",
    ..Field::PLAIN
};
const NOTE: Field = Field { name: "note", label: "Note", kind: Kind::Text { longest: 200 }, ..Field::PLAIN };

/// Where money is taken, and where it comes from or goes to: for actions with orders.
pub const AT_TILL: &[Field] = &[
    Field {
        name: "till",
        label: "Till",
        kind: Kind::Offered(|app, _| Box::pin(offered_tills(app))),
        help: "Orders without prices need none.",
        required: false,
        ..Field::PLAIN
    },
    Field {
        name: "method",
        label: "How",
        kind: Kind::Choice(&[("cash", "In cash"), ("card", "By card terminal")]),
        initial: "cash",
        required: false,
        ..Field::PLAIN
    },
];

/// Offers the tills that are open today. If there is one only, nobody has to choose it.
async fn offered_tills(app: &App) -> Result<Vec<(String, String)>, DbError> {
    let name = |day: &TillDay| format!("{}, {}", day.till, day.day);
    let open = store::open_days(&app.db, &app.config.business_days().today().to_string()).await?;
    Ok(match &open[..] {
        [] => vec![(String::new(), "No till is open today".to_owned())],
        [one] => vec![(String::new(), name(one))],
        several => {
            let offered = several.iter().map(|day| (day.id.to_string(), name(day)));
            [(String::new(), "Choose a till".to_owned())].into_iter().chain(offered).collect()
        }
    })
}

/// Returns the till that someone has chosen, or the only one that is open today; `None` if there is none.
///
/// # Errors
/// A fault of the field if the till is not open today.
pub async fn chosen_till(app: &App, by: &Staff, values: &FormValues) -> Result<Option<AtTill>, SaveError> {
    let open = store::open_days(&app.db, &app.config.business_days().today().to_string()).await?;
    let till_day = match (values.text("till"), &open[..]) {
        ("", [one]) => one.id,
        ("", _) => return Ok(None),
        (chosen, _) => match open.iter().find(|day| day.id.to_string() == chosen) {
            Some(day) => day.id,
            None => return Err(SaveError::fault("till", "This till is not open today.")),
        },
    };
    let method = Method::named(values.text("method")).unwrap_or(Method::Cash);
    Ok(Some(AtTill { till_day, staff: Some(by.user_id), method }))
}

pub static TILLS: Model = Model {
    name: "tills",
    one: "till",
    many: "tills",
    table: "tills",
    label: "t.name",
    version: "t.version",
    columns: &[
        Column { name: "name", label: "Name", sql: "t.name", sort: Some("t.name"), ..Column::PLAIN },
        Column {
            name: "open",
            label: "Open",
            sql: "CASE WHEN EXISTS (SELECT 1 FROM till_days d WHERE d.till_id = t.id AND d.closed_at IS NULL)
                  THEN 1 ELSE 0 END",
            shown: Shown::YesNo,
            ..Column::PLAIN
        },
        Column { name: "is_retired", label: "Retired", sql: "t.is_retired", shown: Shown::YesNo, ..Column::PLAIN },
    ],
    order: "name",
    fieldsets: &[Fieldset {
        title: "",
        help: "",
        fields: &[
            Field {
                name: "name",
                label: "Name",
                sql: "t.name",
                kind: Kind::Text { longest: 100 },
                help: "Such as Box 1.",
                ..Field::PLAIN
            },
            Field {
                name: "is_retired",
                label: "Retired",
                sql: "t.is_retired",
                kind: Kind::YesNo,
                help: "It can no longer be opened.",
                ..Field::PLAIN
            },
        ],
    }],
    save: Some(|work, id, values| Box::pin(save_till(work, id, values))),
    kept: "A till is not deleted, because the ledger names it. Retire it instead.",
    used_by: &[UsedBy { model: "till_days", by: "t.till_id" }],
    actions: &[Action {
        name: "open",
        label: "Open…",
        past: "Opened",
        about: "Opens the till for today's business day. From then on, money can be taken at it.",
        needs: Permission::Pay,
        applies: "t.is_retired = 0 AND t.is_online = 0",
        asks: &[Field { name: "amount", label: "Cash in the till", ..AMOUNT }],
        run: |app, by, ids, values| Box::pin(open(app, by, ids, values)),
        ..Action::PLAIN
    }],
    ..Model::PLAIN
};

async fn save_till(work: &mut Work<'_>, id: Option<i64>, values: &FormValues) -> Result<i64, SaveError> {
    let name = values.text("name");
    if let Some(id) = id
        && store::is_online(work.tx, id).await?
    {
        return Err(SaveError::fault("name", "This till opens and closes by itself. It can't be changed."));
    }
    let known = store::till_named(work.tx, name).await?;
    if known.is_some() && known != id {
        return Err(SaveError::fault("name", "A till with this name already exists."));
    }
    Ok(store::put_till(work.tx, id, name, values.yes("is_retired")).await?)
}

pub static TILL_DAYS: Model = Model {
    name: "till_days",
    one: "day of a till",
    many: "days of tills",
    table: "till_days",
    joins: &[Join::new("tills", "x", "t.till_id")],
    label: "CONCAT(x.name, ', ', t.day)",
    columns: &[
        Column { name: "day", label: "Day", sql: "t.day", ..Column::PLAIN },
        Column {
            name: "till",
            label: "Till",
            sql: "x.name",
            shown: Shown::Link { model: "tills", id: "t.till_id" },
            ..Column::PLAIN
        },
        Column { name: "state", label: "State", sql: STATE, shown: Shown::Choice(STATES), ..Column::PLAIN },
        Column { name: "entries", label: "Entries", sql: "t.last_number", shown: Shown::Number, ..Column::PLAIN },
        Column { name: "cash", label: "Cash", sql: CASH, shown: Shown::Made(amount), ..Column::PLAIN },
        Column { name: "card", label: "Card", sql: CARD, shown: Shown::Made(amount), ..Column::PLAIN },
        Column {
            name: "difference",
            label: "Difference",
            sql: DIFFERENCE,
            shown: Shown::Made(amount),
            ..Column::PLAIN
        },
    ],
    filters: &[
        Filter {
            name: "state",
            label: "State",
            by: FilterBy::Conditions(&[
                ("open", "Open", "t.closed_at IS NULL"),
                ("closed", "Closed", "t.closed_at IS NOT NULL"),
            ]),
        },
        Filter { name: "till", label: "Till", by: FilterBy::Related { sql: "t.till_id", model: "tills" } },
    ],
    fieldsets: &[Fieldset {
        title: "",
        help: "",
        fields: &[
            Field::shown("till_id", "Till", "t.till_id", Kind::Related { model: "tills" }),
            Field::shown("day", "Day", "CONCAT(t.day)", Kind::Text { longest: 10 }),
            Field::shown("state", "State", STATE, Kind::Choice(STATES)),
            Field::shown("opened", "Opened", "t.opened_at", Kind::Moment),
            Field::shown("opened_by", "Opened by", "t.opened_by", Kind::Related { model: "users" }),
            Field::shown("float", "Cash at the opening", FLOAT, Kind::Made(amount)),
            Field::shown("cash", "Cash that there should be", CASH, Kind::Made(amount)),
            Field::shown("card", "Taken by card terminal", CARD, Kind::Made(amount)),
            Field::shown("closed", "Closed", "t.closed_at", Kind::Moment),
            Field::shown("closed_by", "Closed by", "t.closed_by", Kind::Related { model: "users" }),
            Field::shown("counted", "Cash that was counted", "COALESCE(t.counted, 0)", Kind::Made(amount)),
            Field::shown("difference", "Difference", DIFFERENCE, Kind::Made(amount)),
            Field::shown("note", "Note", "t.note", Kind::Text { longest: 200 }),
            Field::shown("hash", "Seal", "CONCAT(t.hash)", Kind::Text { longest: 64 }),
        ],
    }],
    actions: &[
        Action {
            name: "pay_in",
            label: "Pay in…",
            past: "Paid in",
            about: "Records cash that is put into the till.",
            needs: Permission::Pay,
            applies: OPEN,
            asks: &[AMOUNT, NOTE],
            run: |app, by, ids, values| Box::pin(move_cash(app, by, ids, values, EntryKind::PayIn)),
            ..Action::PLAIN
        },
        Action {
            name: "pay_out",
            label: "Pay out…",
            past: "Paid out",
            about: "Records cash that is taken out of the till.",
            needs: Permission::Pay,
            applies: OPEN,
            asks: &[AMOUNT, NOTE],
            run: |app, by, ids, values| Box::pin(move_cash(app, by, ids, values, EntryKind::PayOut)),
            ..Action::PLAIN
        },
        Action {
            name: "close",
            label: "Close…",
            past: "Closed",
            about: "Count the cash first. A closed day never changes; refunds of its sales are entries of the day on which \
                    they are made.",
            needs: Permission::Pay,
            applies: OPEN,
            asks: &[
                Field { name: "amount", label: "Cash that was counted", ..AMOUNT },
                Field { help: "Such as the reason of a difference.", required: false, ..NOTE },
            ],
            run: |app, by, ids, values| Box::pin(close(app, by, ids, values)),
            ..Action::PLAIN
        },
    ],
    adds: false,
    ..Model::PLAIN
};

const OPEN: &str = "t.closed_at IS NULL";
const STATE: &str = "CASE WHEN t.closed_at IS NULL THEN 'open' ELSE 'closed' END";
const STATES: &[(&str, &str)] = &[("open", "Open"), ("closed", "Closed")];

/// SQL of the sum of a till's day that was taken in a way.
macro_rules! taken {
    ($condition:literal) => {
        concat!(
            "COALESCE((SELECT CAST(SUM(l.amount) AS SIGNED) FROM ledger l WHERE l.till_day_id = t.id AND ",
            $condition,
            "), 0)"
        )
    };
}
const CASH: &str = taken!("l.method = 'cash'");
const CARD: &str = taken!("l.method = 'card'");
const FLOAT: &str = taken!("l.kind = 'float'");
const DIFFERENCE: &str = "COALESCE(t.counted - t.expected, 0)";

/// Reads the amount of an action.
fn read_amount(app: &App, values: &FormValues) -> Result<i64, SaveError> {
    let fault = || SaveError::fault("amount", "Enter an amount, such as 50 or 12.50.");
    app.config.currency.read(values.text("amount")).filter(|amount| *amount <= PRICE_MAX).ok_or_else(fault)
}

fn changed(field: &str, after: String) -> Vec<FieldChange> {
    vec![FieldChange { field: field.to_owned(), before: String::new(), after }]
}

async fn open(app: &App, by: &Staff, ids: &[i64], values: &FormValues) -> Result<Report, SaveError> {
    let float = read_amount(app, values)?;
    let (day, currency) = (app.config.business_days().today().to_string(), app.config.currency);
    let mut report = Report::default();
    for id in ids.iter().copied() {
        let mut tx = app.db.begin().await?;
        let Some(name) = store::openable(&mut tx, id).await? else { continue };
        if let Some(earlier) = store::open_day(&mut tx, id).await? {
            report.not_done.push(format!("{name} is still open for {earlier}. Close that day first."));
            continue;
        }
        match store::open(&mut tx, id, (&day, currency.code()), float, (by.user_id, clock::now())).await {
            Ok(_) => tx.commit().await?,
            Err(DbError::Unique(_)) => {
                report.not_done.push(format!("{name} was closed today already. Use another till."));
                continue;
            }
            Err(error) => return report.broken_off(&name, error),
        }
        report.done.push((id, name, changed(&format!("Opened for {day}"), currency.write(float))));
    }
    Ok(report)
}

async fn move_cash(
    app: &App,
    by: &Staff,
    ids: &[i64],
    values: &FormValues,
    kind: EntryKind,
) -> Result<Report, SaveError> {
    let amount = read_amount(app, values)?;
    if amount == 0 {
        return Err(SaveError::fault("amount", "Enter an amount above zero."));
    }
    let signed = if kind == EntryKind::PayOut { -amount } else { amount };
    let mut report = Report::default();
    for id in ids.iter().copied() {
        let mut tx = app.db.begin().await?;
        let Some(day) = store::lock_day(&mut tx, id).await? else { continue };
        let name = format!("{}, {}", day.till, day.day);
        if !store::add_entry(&mut tx, id, (kind, signed), values.text("note"), (by.user_id, clock::now())).await? {
            report.not_done.push(format!("{name} is closed."));
            continue;
        }
        tx.commit().await?;
        report.done.push((id, name, changed("Cash", app.config.currency.write(signed))));
    }
    Ok(report)
}

async fn close(app: &App, by: &Staff, ids: &[i64], values: &FormValues) -> Result<Report, SaveError> {
    let counted = read_amount(app, values)?;
    if ids.len() > 1 {
        return Err(SaveError::fault("amount", "Close one day at a time: each has its own cash."));
    }
    let mut report = Report::default();
    for id in ids.iter().copied() {
        let mut tx = app.db.begin().await?;
        let Some(day) = store::lock_day(&mut tx, id).await? else { continue };
        let name = format!("{}, {}", day.till, day.day);
        if day.closed_at.is_some() {
            report.not_done.push(format!("{name} is closed already."));
            continue;
        }
        let sums =
            match store::close(&mut tx, &day, (counted, values.text("note")), (Some(by.user_id), clock::now())).await {
                Ok(sums) => sums,
                Err(DbError::Guard(_)) => {
                    report.not_done.push(format!("{name}: close the earlier days of this till first."));
                    continue;
                }
                Err(error) => return report.broken_off(&name, error),
            };
        tx.commit().await?;
        let write = |amount: i64| app.config.currency.write(amount);
        let difference = counted - sums.cash;
        report.messages.push(match difference {
            0 => format!("{name}: the cash is right."),
            more if more > 0 => format!("{name}: there is {} more than there should be.", write(more)),
            less => format!("{name}: {} is missing.", write(-less)),
        });
        report.done.push((id, name, changed("Cash that was counted", write(counted))));
    }
    Ok(report)
}
