//! Movies in the admin panel.

use std::collections::BTreeSet;

use super::details::{Details, RATING_MAX, SYNOPSIS_MAX};
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
    fieldsets: &[
        Fieldset {
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
        },
        Fieldset {
            title: "For the programme",
            help: "Customers can read all of it. Fill in what you know.",
            fields: &[
                Field {
                    name: "original_title",
                    label: "Original title",
                    sql: "t.original_title",
                    required: false,
                    ..Field::PLAIN
                },
                Field {
                    name: "synopsis",
                    label: "Synopsis",
                    sql: "t.synopsis",
                    kind: Kind::Text { longest: SYNOPSIS_MAX },
                    required: false,
                    ..Field::PLAIN
                },
                Field {
                    name: "genres",
                    label: "Genres",
                    help: "Separated by commas: Drama, Comedy.",
                    sql: "t.genres",
                    required: false,
                    ..Field::PLAIN
                },
                Field {
                    name: "rating",
                    label: "Age rating",
                    help: "In the words of its system, such as 12 or PG-13.",
                    sql: "t.rating",
                    kind: Kind::Text { longest: RATING_MAX },
                    required: false,
                    ..Field::PLAIN
                },
                Field {
                    name: "rating_system",
                    label: "Rating system",
                    help: "Such as FSK, BBFC or MPA.",
                    sql: "t.rating_system",
                    kind: Kind::Text { longest: RATING_MAX },
                    required: false,
                    ..Field::PLAIN
                },
                Field {
                    name: "release_date",
                    label: "Release date",
                    help: "In your country: year-month-day, like 2026-11-23.",
                    sql: "t.release_date",
                    kind: Kind::Text { longest: 10 },
                    required: false,
                    ..Field::PLAIN
                },
                Field {
                    name: "distributor",
                    label: "Distributor",
                    sql: "t.distributor",
                    required: false,
                    ..Field::PLAIN
                },
                Field {
                    name: "imdb_id",
                    label: "IMDb id",
                    help: "Such as tt0111161. You can paste the address of the page.",
                    sql: "t.imdb_id",
                    required: false,
                    ..Field::PLAIN
                },
                Field {
                    name: "tmdb_id",
                    label: "TMDB id",
                    help: "The number in the address of the movie's page at themoviedb.org.",
                    sql: "t.tmdb_id",
                    kind: Kind::Number { least: 1, most: (1 << 53) - 1 },
                    required: false,
                    ..Field::PLAIN
                },
            ],
        },
    ],
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
    changed: |app, id| app.caches.movie_changed(id),
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
    let stored = match id {
        Some(id) => store::details(work.tx, id).await?.unwrap_or_default(),
        None => Details::default(),
    };
    let details = details_of(values, &stored)?;
    let saved = store::put_movie(work.tx, id, values.text("title"), minutes).await?;
    store::put_details(work.tx, saved, &details).await?;
    if let Some(id) = longer {
        let warnings = new_collisions(work.tx, config, id, &known).await?;
        if !warnings.is_empty() {
            return Err(SaveError::Warnings(warnings));
        }
    }
    Ok(saved)
}

/// Returns the details in a form. Stored ones that stay are not judged.
fn details_of(values: &FormValues, stored: &Details) -> Result<Details, SaveError> {
    let text = |name| values.text(name).to_owned();
    let mut details = Details {
        original_title: text("original_title"),
        synopsis: text("synopsis"),
        genres: text("genres"),
        rating: text("rating"),
        rating_system: text("rating_system"),
        release_date: text("release_date"),
        distributor: text("distributor"),
        imdb_id: text("imdb_id"),
        tmdb_id: values.int("tmdb_id"),
    };
    details.tidy();
    match details.new_faults(stored) {
        faults if faults.is_empty() => Ok(details),
        faults => Err(SaveError::Faults(faults)),
    }
}
