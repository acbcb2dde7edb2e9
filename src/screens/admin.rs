//! Screens in the admin panel.

use super::store;
use crate::admin::{Column, Field, Fieldset, FormValues, Model, SaveError, Search, UsedBy, Work};
use crate::search;
use crate::shows::admin::refuse_with_shows;

pub static SCREENS: Model = Model {
    name: "screens",
    one: "screen",
    many: "screens",
    table: "screens",
    label: "t.name",
    version: "t.version",
    columns: &[Column { name: "name", label: "Name", sql: "t.name", sort: Some("t.name"), ..Column::PLAIN }],
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
    changed: |app, _| app.caches.shows.all_changed(),
    ..Model::PLAIN
};

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
