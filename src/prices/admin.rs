//! Ticket types, price cards and price rules in the admin panel.

use super::cards::{self, CODE_MAX};
use super::store::{self, Card, StoredType};
use crate::admin::query::log;
use crate::admin::words::count_text;
use crate::admin::{
    Action, Column, Field, FieldAccess, FieldChange, Fieldset, FormValues, Join, Kind, Leads, Model, PageLink,
    Permission, Report, SaveError, Shown, Staff, UsedBy, Work,
};
use crate::db::{DbError, Result};
use crate::desk::card::{CardVersion, TicketType};
use crate::money::write_rate;
use crate::state::App;

/// The page with the prices of a card.
const PRICES_URL: &str = "/admin/price_cards/{id}/prices/";

/// The most tickets that a minimum or a maximum can be.
const TICKETS_MAX: i64 = 100;

/// The highest place of a type.
const PLACE_MAX: i64 = 10_000;

pub static TICKET_TYPES: Model = Model {
    name: "ticket_types",
    one: "ticket type",
    many: "ticket types",
    table: "ticket_types",
    label: "t.name",
    version: "t.version",
    columns: &[
        Column { name: "name", label: "Name", sql: "t.name", ..Column::PLAIN },
        Column {
            name: "place",
            label: "Order",
            sql: "t.place",
            shown: Shown::Number,
            sort: Some("t.place"),
            ..Column::PLAIN
        },
        Column { name: "code", label: "Code", sql: "t.code", ..Column::PLAIN },
        Column {
            name: "sold_online",
            label: "Sold online",
            sql: "t.sold_online",
            shown: Shown::YesNo,
            ..Column::PLAIN
        },
        Column {
            name: "sold_at_counter",
            label: "At the counter",
            sql: "t.sold_at_counter",
            shown: Shown::YesNo,
            ..Column::PLAIN
        },
        Column {
            name: "tax_rate",
            label: "Tax",
            sql: "t.tax_rate",
            shown: Shown::Made(|_, rate| Box::pin(async move { Ok(format!("{}%", write_rate(rate))) })),
            ..Column::PLAIN
        },
        Column { name: "proof", label: "Proof", sql: "t.proof", ..Column::PLAIN },
        Column { name: "is_retired", label: "Retired", sql: "t.is_retired", shown: Shown::YesNo, ..Column::PLAIN },
    ],
    order: "place",
    fieldsets: TYPE_FIELDS,
    save: Some(|work, id, values| Box::pin(save_type(work, id, values))),
    delete: Some(|work, id| Box::pin(delete_type(work, id))),
    changed: |app, _| app.caches.all_shows_changed(),
    ..Model::PLAIN
};

const TYPE_FIELDS: &[Fieldset] = &[
    Fieldset {
        title: "",
        help: "",
        fields: &[
            Field {
                name: "name",
                label: "Name",
                help: "What customers read, such as Adult.",
                sql: "t.name",
                kind: Kind::Text { longest: 100 },
                ..Field::PLAIN
            },
            Field {
                name: "code",
                label: "Code",
                help: "The name in the API, of small letters, digits and underscores. It never changes. If you leave it \
                       empty, it is made from the name.",
                sql: "t.code",
                kind: Kind::Text { longest: CODE_MAX },
                required: false,
                access: FieldAccess::SetOnce,
                ..Field::PLAIN
            },
            Field {
                name: "place",
                label: "Order",
                help: "Types are offered from the lowest number to the highest. The first one that is sold online is what \
                       a customer gets without choosing. If you leave it empty, the type comes last.",
                sql: "t.place",
                kind: Kind::Number { least: 0, most: PLACE_MAX },
                required: false,
                ..Field::PLAIN
            },
            Field {
                name: "tax_rate",
                label: "Tax",
                help: "It is included in the prices.",
                initial: "0",
                sql: "t.tax_rate",
                kind: Kind::Percent,
                ..Field::PLAIN
            },
        ],
    },
    Fieldset {
        title: "Sales",
        help: "",
        fields: &[
            Field {
                name: "sold_online",
                label: "Sold online",
                initial: "1",
                sql: "t.sold_online",
                kind: Kind::YesNo,
                required: false,
                ..Field::PLAIN
            },
            Field {
                name: "sold_at_counter",
                label: "Sold at the counter",
                initial: "1",
                sql: "t.sold_at_counter",
                kind: Kind::YesNo,
                required: false,
                ..Field::PLAIN
            },
            Field {
                name: "min_per_order",
                label: "Min. per order",
                help: "An order has none of these tickets, or at least this many.",
                sql: "t.min_per_order",
                kind: Kind::Number { least: 1, most: TICKETS_MAX },
                required: false,
                ..Field::PLAIN
            },
            Field {
                name: "max_per_order",
                label: "Max. per order",
                sql: "t.max_per_order",
                kind: Kind::Number { least: 1, most: TICKETS_MAX },
                required: false,
                ..Field::PLAIN
            },
            Field {
                name: "proof",
                label: "Proof needed",
                help: "What the customer has to show at the entrance, such as a student card. Empty for nothing.",
                sql: "t.proof",
                kind: Kind::Text { longest: 200 },
                required: false,
                ..Field::PLAIN
            },
            Field {
                name: "is_companion",
                label: "For companions",
                help: "Free of charge, and only together with another ticket, one for each. All of its prices are 0.",
                sql: "t.is_companion",
                kind: Kind::YesNo,
                required: false,
                ..Field::PLAIN
            },
            Field {
                name: "is_retired",
                label: "Retired",
                help: "No longer sold. It disappears from all price cards.",
                sql: "t.is_retired",
                kind: Kind::YesNo,
                required: false,
                ..Field::PLAIN
            },
        ],
    },
    Fieldset {
        title: "Price cards",
        help: "",
        fields: &[Field {
            name: "cards",
            label: "What a change affects",
            help: "Saving a change makes a new version of these cards. Seats that are sold or held keep their price.",
            sql: "t.id",
            kind: Kind::Made(|app, id| Box::pin(affected(app, id))),
            access: FieldAccess::Shown,
            ..Field::PLAIN
        }],
    },
];

/// Names the cards that a change of a ticket type affects, and counts their coming shows.
async fn affected(app: &App, type_id: i64) -> Result<String> {
    let cards = store::cards_with_type(&mut &app.db, type_id).await?;
    if cards.is_empty() {
        return Ok("It is on no price card.".to_owned());
    }
    let shows = store::coming_shows(&mut &app.db).await?;
    let count = cards.iter().filter_map(|card| shows.get(&card.id)).sum();
    let names: Vec<&str> = cards.iter().map(|card| card.name.as_str()).collect();
    Ok(format!("{}; {}", names.join(", "), count_text(count, "coming show", "coming shows")))
}

async fn save_type(work: &mut Work<'_>, id: Option<i64>, values: &FormValues) -> Result<i64, SaveError> {
    store::lock_cards(work.tx).await?;
    let known = store::types(work.tx).await?;
    let before = known.iter().find(|known| Some(known.id) == id);
    let last = known.iter().map(|known| known.place).max().unwrap_or(0);
    let code = match (before, values.text("code")) {
        (Some(before), _) => before.ticket.code.clone(),
        (None, "") => cards::code_of(values.text("name")),
        (None, code) => code.to_owned(),
    };
    let stored = StoredType {
        id: id.unwrap_or(0),
        place: values.int("place").unwrap_or((last + 1).min(PLACE_MAX)),
        is_retired: values.yes("is_retired"),
        ticket: TicketType {
            code,
            name: values.text("name").to_owned(),
            sold_online: values.yes("sold_online"),
            sold_at_counter: values.yes("sold_at_counter"),
            min_per_order: values.int("min_per_order"),
            max_per_order: values.int("max_per_order"),
            proof: values.text("proof").to_owned(),
            tax_rate: values.int("tax_rate").unwrap_or(0),
            is_companion: values.yes("is_companion"),
        },
    };
    let faults = type_faults(&stored, before, &known);
    if !faults.is_empty() {
        return Err(SaveError::Faults(faults));
    }
    let id = store::put_type(work.tx, &stored).await?;
    if before.is_some() {
        renew_cards(work, &stored).await?;
    }
    Ok(id)
}

/// Returns the faults of a ticket type, by the names of its fields. A stored code is not judged.
fn type_faults(stored: &StoredType, before: Option<&StoredType>, known: &[StoredType]) -> Vec<(&'static str, String)> {
    let ticket = &stored.ticket;
    let mut faults = Vec::new();
    if before.is_none() && !cards::is_code(&ticket.code) {
        let text = "Enter a code of 1 to 40 small letters (a to z), digits and underscores.";
        faults.push(("code", text.to_owned()));
    }
    if before.is_none() && known.iter().any(|known| known.ticket.code == ticket.code) {
        faults.push(("code", format!("There is already a ticket type with the code {}.", ticket.code)));
    }
    if let (Some(least), Some(most)) = (ticket.min_per_order, ticket.max_per_order)
        && most < least
    {
        faults.push(("max_per_order", "The maximum can't be below the minimum.".to_owned()));
    }
    faults
}

/// Makes a new version of each card that sells a ticket type which was changed.
async fn renew_cards(work: &mut Work<'_>, changed: &StoredType) -> Result<(), SaveError> {
    let types = store::sold_types(work.tx).await?;
    for card in store::cards_with_type(work.tx, changed.id).await? {
        let Some(before) = store::current(work.tx, &card).await? else { continue };
        let after = cards::version(&types, before.prices.clone(), work.app.config.currency);
        let mut faults = cards::faults(&after, &cards::priced(&before));
        if !faults.is_empty() {
            // Retiring a type takes its prices.
            let field = |field| if changed.is_retired { "is_retired" } else { field };
            let text = |text: &str| format!("On the price card “{}”: {text}", card.name);
            faults.truncate(1);
            let faults = faults.iter().map(|fault| (field(fault.field), text(&fault.text))).collect();
            return Err(SaveError::Faults(faults));
        }
        if let Some(new) = publish(work, &card, &after).await? {
            let after = format!("version {new}, because the ticket type “{}” was changed", changed.ticket.name);
            let change = FieldChange { field: "Prices".to_owned(), before: format!("version {}", new - 1), after };
            log::add(work.tx, work.staff, PRICE_CARDS.name, card.id, &card.name, "change", &[change]).await?;
        }
    }
    Ok(())
}

/// Makes a version of a card; returns its number, or `None` if nothing differs.
async fn publish(work: &mut Work<'_>, card: &Card, version: &CardVersion) -> Result<Option<i64>> {
    let published = store::publish(work.tx, card, version, Some(work.staff.user_id)).await?;
    Ok(published.map(|published| published.number))
}

async fn delete_type(work: &mut Work<'_>, id: i64) -> Result<(), SaveError> {
    store::lock_cards(work.tx).await?;
    match store::delete_type(work.tx, id).await {
        Err(DbError::ForeignKey(_)) => {
            let why = "It is or was on a price card. Set “Retired” instead: then it is no longer sold.";
            Err(SaveError::Stays { why: why.to_owned(), instead: None })
        }
        deleted => Ok(deleted?),
    }
}

pub static PRICE_CARDS: Model = Model {
    name: "price_cards",
    one: "price card",
    many: "price cards",
    table: "price_cards",
    label: "t.name",
    version: "t.version",
    columns: &[
        Column { name: "name", label: "Name", sql: "t.name", sort: Some("t.name"), ..Column::PLAIN },
        Column {
            name: "prices",
            label: "Prices",
            sql: "COALESCE((SELECT v.number FROM card_versions v WHERE v.id = t.current_id), 0)",
            shown: Shown::Made(|_, number| Box::pin(async move { Ok(version_in_words(number)) })),
            leads: Leads::Page(PRICES_URL),
            ..Column::PLAIN
        },
        Column {
            name: "shows",
            label: "Coming shows",
            sql: "(SELECT COUNT(*) FROM card_versions v JOIN shows s ON s.card_version_id = v.id \
                  WHERE v.card_id = t.id AND s.date_time > {now} AND s.cancelled_at IS NULL)",
            shown: Shown::Number,
            leads: Leads::Objects("shows"),
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
                help: "Such as Weekday or Matinee. Customers do not see it.",
                sql: "t.name",
                kind: Kind::Text { longest: 100 },
                ..Field::PLAIN
            },
            Field {
                name: "is_retired",
                label: "Retired",
                help: "It is offered no longer. Shows that have it keep it.",
                sql: "t.is_retired",
                kind: Kind::YesNo,
                required: false,
                ..Field::PLAIN
            },
        ],
    }],
    actions: &[Action {
        name: "copy",
        label: "Copy…",
        past: "Copied",
        about: "Makes a new card with the same prices. No show has it yet.",
        needs: Permission::Add,
        asks: &[Field { name: "name", label: "Name of the copy", kind: Kind::Text { longest: 100 }, ..Field::PLAIN }],
        applies: "t.current_id IS NOT NULL",
        whole: true,
        run: |app, staff, ids, values| Box::pin(copy_card(app, staff, ids, values)),
        ..Action::PLAIN
    }],
    save: Some(|work, id, values| Box::pin(save_card(work, id, values))),
    delete: Some(|work, id| Box::pin(delete_card(work, id))),
    used_by: &[
        UsedBy { model: "shows", by: "t.card_version_id IN (SELECT v.id FROM card_versions v WHERE v.card_id = {id})" },
        UsedBy { model: "price_rules", by: "t.card_id" },
    ],
    pages: &[PageLink { label: "Prices", url: PRICES_URL, model: "price_cards" }],
    ..Model::PLAIN
};

/// Returns the text of the link to a card's prices. `number` is that of its newest version, 0 if it has none.
fn version_in_words(number: i64) -> String {
    if number == 0 { "No prices yet".to_owned() } else { format!("Version {number}") }
}

async fn save_card(work: &mut Work<'_>, id: Option<i64>, values: &FormValues) -> Result<i64, SaveError> {
    store::lock_cards(work.tx).await?;
    refuse_known_name(&store::cards(work.tx).await?, id, values.text("name"))?;
    let is_retired = values.yes("is_retired");
    let is_of_rule = store::rules(work.tx).await?.iter().any(|rule| Some(rule.card_id) == id);
    if is_retired && is_of_rule {
        return Err(SaveError::fault("is_retired", "A price rule chooses this card. Change the rule first."));
    }
    Ok(store::put_card(work.tx, id, values.text("name"), is_retired).await?)
}

/// Refuses a name that another card has, in any letter case.
fn refuse_known_name(cards: &[Card], id: Option<i64>, name: &str) -> Result<(), SaveError> {
    let is_known = |card: &Card| Some(card.id) != id && crate::search::fold(&card.name) == crate::search::fold(name);
    match cards.iter().any(is_known) {
        true => Err(SaveError::fault("name", "There is already a price card with this name.")),
        false => Ok(()),
    }
}

async fn delete_card(work: &mut Work<'_>, id: i64) -> Result<(), SaveError> {
    match store::delete_card(work.tx, id).await {
        Err(DbError::ForeignKey(_)) => {
            let why = "It has prices, or a rule chooses it. Set “Retired” instead: then it is offered no longer.";
            Err(SaveError::Stays { why: why.to_owned(), instead: None })
        }
        deleted => Ok(deleted?),
    }
}

/// Makes a card with the prices of another one.
async fn copy_card(app: &App, staff: &Staff, ids: &[i64], values: &FormValues) -> Result<Report, SaveError> {
    let [id] = ids else {
        return Err(SaveError::fault("name", "Copy one price card at a time, because each copy needs a name."));
    };
    let mut tx = app.db.begin().await?;
    store::lock_cards(&mut tx).await?;
    let Some(source) = store::card(&mut tx, *id).await? else { return Ok(Report::default()) };
    let Some(before) = store::current(&mut tx, &source).await? else { return Ok(Report::default()) };
    let name = values.text("name");
    refuse_known_name(&store::cards(&mut tx).await?, None, name)?;
    let new = store::put_card(&mut tx, None, name, false).await?;
    let card = Card { id: new, name: name.to_owned(), current_id: None, is_retired: false };
    let types = store::sold_types(&mut tx).await?;
    let version = cards::version(&types, before.prices, app.config.currency);
    store::publish(&mut tx, &card, &version, Some(staff.user_id)).await?;
    tx.commit().await?;
    let change = FieldChange { field: "Copied from".to_owned(), before: String::new(), after: source.name };
    Ok(Report { done: vec![(new, name.to_owned(), vec![change])], ..Report::default() })
}

/// The page with all rules.
pub const RULES_URL: &str = "/admin/price_rules/all/";

pub static PRICE_RULES: Model = Model {
    name: "price_rules",
    one: "price rule",
    many: "price rules",
    table: "price_rules",
    joins: &[Join::new("price_cards", "c", "t.card_id")],
    label: "CONCAT('Rule for ', c.name)",
    version: "t.version",
    columns: &[
        Column {
            name: "place",
            label: "Order",
            sql: "t.place",
            shown: Shown::Number,
            sort: Some("t.place"),
            ..Column::PLAIN
        },
        Column {
            name: "card",
            label: "Price card",
            sql: "c.name",
            shown: Shown::Link { model: "price_cards", id: "t.card_id" },
            ..Column::PLAIN
        },
        Column { name: "weekdays", label: "Weekdays", sql: "t.weekdays", ..Column::PLAIN },
        Column { name: "from_date", label: "From", sql: "t.from_date", ..Column::PLAIN },
        Column { name: "until_date", label: "Until", sql: "t.until_date", ..Column::PLAIN },
        Column { name: "format", label: "Format", sql: "t.format", ..Column::PLAIN },
    ],
    order: "place",
    fieldsets: &[Fieldset {
        title: "",
        help: "",
        fields: &[Field {
            name: "card_id",
            label: "Price card",
            sql: "t.card_id",
            kind: Kind::Related { model: "price_cards" },
            access: FieldAccess::Shown,
            ..Field::PLAIN
        }],
    }],
    edited_on: RULES_URL,
    ..Model::PLAIN
};
