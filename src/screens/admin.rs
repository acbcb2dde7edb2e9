//! Screens in the admin panel.

use super::store;
use crate::admin::{
    Column, Field, Fieldset, FormValues, Leads, Model, PageLink, SaveError, Search, Shown, UsedBy, Work,
};
use crate::search;
use crate::shows::admin::refuse_with_shows;

/// The editor of a screen's seat plan.
const PLAN_URL: &str = "/admin/screens/{id}/plan/";

pub static SCREENS: Model = Model {
    name: "screens",
    one: "screen",
    many: "screens",
    table: "screens",
    label: "t.name",
    version: "t.version",
    columns: &[
        Column { name: "name", label: "Name", sql: "t.name", sort: Some("t.name"), ..Column::PLAIN },
        Column {
            name: "seats",
            label: "Seat plan",
            sql: "COALESCE((SELECT p.seats FROM plans p WHERE p.id = t.plan_id), 0)",
            shown: Shown::Made(|_, seats| Box::pin(async move { Ok(plan_in_words(seats)) })),
            leads: Leads::Page(PLAN_URL),
            ..Column::PLAIN
        },
    ],
    order: "name",
    search: &[Search { kind: &search::SCREENS, id: "t.id" }],
    fieldsets: &[Fieldset {
        title: "",
        help: "",
        fields: &[Field { name: "name", label: "Name", sql: "t.name", ..Field::PLAIN }],
    }],
    save: Some(|work, id, values| Box::pin(save_screen(work, id, values))),
    delete: Some(|work, id| Box::pin(async move { refuse_with_shows(store::delete_screen(work.tx, id).await) })),
    used_by: &[UsedBy { model: "shows", by: "t.screen_id" }],
    pages: &[
        PageLink { label: "Seat plan", url: PLAN_URL, model: "screens" },
        PageLink { label: "Standing blocks", url: "/admin/screens/{id}/blocks/", model: "screens" },
    ],
    changed: |app, _| app.caches.screen_changed(),
    ..Model::PLAIN
};

/// Returns the text of the link to a screen's seat plan: its number of seats. Without a plan, `seats` is 0.
fn plan_in_words(seats: i64) -> String {
    match seats {
        0 => "No plan yet".to_owned(),
        1 => "1 seat".to_owned(),
        seats => format!("{seats} seats"),
    }
}

async fn save_screen(work: &mut Work<'_>, id: Option<i64>, values: &FormValues) -> Result<i64, SaveError> {
    let name = values.text("name");
    let known = store::screen_named(work.tx, name).await?;
    if known.is_some() && known != id {
        return Err(SaveError::Faults(vec![("name", "A screen with this name already exists.".into())]));
    }
    if known.is_none()
        && !values.anyway
        && let Some(similar) = store::similar_screen(work.tx, name, id).await?
    {
        return Err(SaveError::Warnings(vec![format!("There is already a screen named \"{similar}\".")]));
    }
    Ok(store::put_screen(work.tx, id, name).await?)
}
