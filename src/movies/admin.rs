//! Movies in the admin panel.

use std::collections::BTreeSet;

use super::store;
use crate::admin::{Column, Field, Fieldset, FormValues, Inline, Kind, Model, SaveError, Search, Shown, UsedBy, Work};
use crate::posters;
use crate::search;
use crate::shows::admin::refuse_with_shows;
use crate::shows::texts::{known_collisions, new_collisions};

pub static MOVIES: Model = Model {
    name: "movies",
    one: "movie",
    many: "movies",
    table: "movies",
    label: "t.title",
    version: "t.version",
    columns: &[
        Column { name: "title", label: "Title", sql: "t.title", sort: Some("t.title"), ..Column::PLAIN },
        Column {
            name: "duration",
            label: "Minutes",
            sql: "t.duration_minutes",
            shown: Shown::Number,
            sort: Some("t.duration_minutes"),
            edits: Some("duration_minutes"),
            ..Column::PLAIN
        },
    ],
    order: "title",
    search: &[Search { kind: &search::MOVIES, id: "t.id" }],
    fieldsets: &[Fieldset {
        title: "",
        help: "",
        fields: &[
            Field { name: "title", label: "Title", sql: "t.title", ..Field::PLAIN },
            Field {
                name: "duration_minutes",
                label: "Running time",
                help: "In minutes.",
                sql: "t.duration_minutes",
                kind: Kind::Number { least: 1, most: 1_440 },
                ..Field::PLAIN
            },
        ],
    }],
    save: Some(|work, id, values| Box::pin(save_movie(work, id, values))),
    delete: Some(|work, id| Box::pin(async move { refuse_with_shows(store::delete_movie(work.tx, id).await) })),
    used_by: &[UsedBy { model: "shows", by: "t.movie_id" }],
    inlines: &[Inline {
        model: "shows",
        by: "movie_id",
        fields: &["date_time", "screen_id", "total_seats"],
        order: "t.date_time",
        only: "t.date_time > {now} AND t.cancelled_at IS NULL",
        help: "To fill a week: enter one show and save, open the show, then choose \"Copy to other dates\".",
        extra: 3,
    }],
    below: Some(|page, id| Box::pin(posters::pages::section(page, id))),
    changed: |app, id| {
        app.caches.movies.changed(&());
        app.caches.shows.changed(&id);
    },
    ..Model::PLAIN
};

async fn save_movie(work: &mut Work<'_>, id: Option<i64>, values: &FormValues) -> Result<i64, SaveError> {
    let minutes = values.int("duration_minutes").unwrap_or_default();
    let before = match id {
        Some(id) => store::movie(work.tx, id).await?,
        None => None,
    };
    let config = &work.app.config;
    let longer = id.filter(|_| !values.anyway && before.is_some_and(|(_, was)| minutes > was));
    let known = match longer {
        Some(id) => known_collisions(work.tx, config, id).await?,
        None => BTreeSet::new(),
    };
    let saved = store::put_movie(work.tx, id, values.text("title"), minutes).await?;
    if let Some(id) = longer {
        let warnings = new_collisions(work.tx, config, id, &known).await?;
        if !warnings.is_empty() {
            return Err(SaveError::Warnings(warnings));
        }
    }
    Ok(saved)
}
