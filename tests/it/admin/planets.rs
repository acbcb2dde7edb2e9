use marquee::admin::{Column, Field, FieldAccess, Fieldset, FormValues, Kind, Model, SaveError, Search, Shown, Work};
use marquee::db::Query;
use marquee::search::{self, store as words};

const KINDS: &[(&str, &str)] = &[("rock", "Rock"), ("gas", "Gas")];

/// The words that planets are found by.
static NAMES: search::Kind = search::Kind { number: 100, table: "planets", texts: &["name"] };

pub static PLANETS: Model = Model {
    name: "planets",
    one: "planet",
    many: "planets",
    table: "planets",
    label: "t.name",
    version: "t.version",
    columns: &[
        Column { name: "name", label: "Name", sql: "t.name", sort: Some("t.name"), ..Column::PLAIN },
        Column { name: "moons", label: "Moons", sql: "t.moons", shown: Shown::Number, ..Column::PLAIN },
    ],
    order: "name",
    search: &[Search { kind: &NAMES, id: "t.id" }],
    fieldsets: &[Fieldset {
        title: "",
        help: "",
        fields: &[
            Field { name: "name", label: "Name", sql: "t.name", kind: Kind::Text { longest: 50 }, ..Field::PLAIN },
            Field {
                name: "kind",
                label: "Kind",
                sql: "t.kind",
                kind: Kind::Choice(KINDS),
                access: FieldAccess::SetOnce,
                ..Field::PLAIN
            },
            Field {
                name: "moons",
                label: "Moons",
                sql: "t.moons",
                kind: Kind::Number { least: 0, most: 500 },
                ..Field::PLAIN
            },
            Field {
                name: "rises",
                label: "Rises",
                sql: "t.rises",
                kind: Kind::Moment,
                required: false,
                ..Field::PLAIN
            },
        ],
    }],
    save: Some(|work, id, values| Box::pin(save(work, id, values))),
    delete: Some(|work, id| Box::pin(delete(work, id))),
    ..Model::PLAIN
};

async fn save(work: &mut Work<'_>, id: Option<i64>, values: &FormValues) -> Result<i64, SaveError> {
    if values.int("moons") > Some(100) && !values.anyway {
        return Err(SaveError::Warnings(vec!["That is a lot of moons.".into()]));
    }
    let fields = ["name", "kind", "moons", "rises"].map(|name| values.fields[name].clone().into());
    let id = match id {
        None => {
            let sql = "INSERT INTO planets (name, kind, moons, rises) VALUES (?, ?, ?, ?)";
            work.tx.insert(sql, fields.to_vec()).await?
        }
        Some(id) => {
            let sql = "UPDATE planets SET name = ?, kind = ?, moons = ?, rises = ?, version = version + 1 WHERE id = ?";
            work.tx.execute(sql, [fields.to_vec(), vec![id.into()]].concat()).await?;
            id
        }
    };
    words::put(work.tx, &NAMES, id, &[values.text("name")]).await?;
    Ok(id)
}

async fn delete(work: &mut Work<'_>, id: i64) -> Result<(), SaveError> {
    work.tx.execute("DELETE FROM planets WHERE id = ?", vec![id.into()]).await?;
    Ok(words::remove(work.tx, &NAMES, id).await?)
}
