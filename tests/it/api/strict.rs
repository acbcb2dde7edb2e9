//! Nothing is done by mistake: Marquee's own endpoints refuse unknown parameters and fields, the contract's ignore
//! them, and no endpoint reads a compressed body.

use serde_json::{Value, json};

use crate::api::holds::{act, get, hold, post};
use crate::support::{App, Call, Engine, Reply, User, World, booking, is_consistent};

tests! {
    strict: [
        own_endpoints_refuse_unknown_fields,
        a_bracketed_list_is_a_list,
        cancelling_all_needs_an_empty_body,
        compressed_bodies_are_refused on SQLITE,
        the_schema_forbids_unknown_fields on SQLITE,
    ]
}

const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=b";

/// A multipart body with these fields.
fn parts<'a>(fields: impl IntoIterator<Item = (&'a str, i64)>) -> String {
    let part = |(name, value)| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    fields.into_iter().map(part).collect::<String>() + "--b--\r\n"
}

/// An operation of the schema, with the ids of existing objects.
struct Operation {
    method: String,
    template: String,
    path: String,
    /// The fields of its body.
    fields: Vec<String>,
    is_of_the_contract: bool,
}

impl Operation {
    fn call(&self, user: &User, query: &str) -> Call {
        Call::method(&self.method, format!("{}{query}", self.path)).bearer(&user.access)
    }
}

/// A live hold, an order and a booking of ann's.
struct Made {
    held: Value,
    ordered: Value,
    booked: Value,
}

async fn made(app: &App, world: &World) -> Made {
    let confirmed = hold(&world.ann, 1, &[5, 6, 7]).send(app).await.expect(201).json();
    Made {
        ordered: act(&world.ann, &confirmed, "confirm").send(app).await.expect(201).json(),
        held: hold(&world.ann, 1, &[8, 9]).send(app).await.expect(201).json(),
        booked: booking(&world.ann, 1, 10).send(app).await.expect(201).json(),
    }
}

/// All operations of the schema, so that operations added later are tested too.
async fn operations(app: &App, made: &Made) -> Vec<Operation> {
    let contract = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/contract.md")).expect("a file");
    let schema = Call::get("/api/schema/?format=json").send(app).await.expect(200).json();
    let mut operations = Vec::new();
    // Pictures are files for everyone, without parameters.
    let is_endpoint = |(template, _): &(&String, &Value)| !template.starts_with("/posters/");
    for (template, item) in schema["paths"].as_object().expect("an object").iter().filter(is_endpoint) {
        let path = template
            .replace("{movie_id}", "1")
            .replace("{show_id}", "1")
            .replace("{hold_id}", &made.held["id"].to_string())
            .replace("{booking_id}", &made.booked["id"].to_string())
            .replace("{plan}", "rows-50")
            .replace("{code}", made.ordered["code"].as_str().expect("a code"));
        assert!(!path.contains('{'), "{template} has an id that this test does not know");
        for (method, operation) in item.as_object().expect("an object") {
            let body = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
            let body = body.as_str().map(|name| &schema.pointer(&name[1..]).expect("a schema")["properties"]);
            let method = method.to_uppercase();
            operations.push(Operation {
                is_of_the_contract: contract.contains(&format!("| {method} `{template}` |")),
                template: template.clone(),
                path: path.clone(),
                fields: body
                    .map(|body| body.as_object().expect("fields").keys().cloned().collect())
                    .unwrap_or_default(),
                method,
            });
        }
    }
    operations
}

/// Checks that the reply is a 400 that names this field or parameter.
fn names(reply: &Reply, name: &str, what: &str) {
    assert_eq!(reply.status, 400, "{what}: {reply:?}");
    let told = reply.json();
    assert!(told[name][0].as_str().is_some_and(|text| text.contains("This endpoint takes: ")), "{what}: {told}");
}

/// Checks that an operation refuses this field in JSON, in a form and in multipart; the newest take only JSON.
async fn refuses_unknown(app: &App, user: &User, operation: &Operation, unknown: &str) {
    let what = format!("{} {} {unknown}", operation.method, operation.template);
    let takes_seats = operation.fields.first().is_some_and(|field| field == "seats");
    let takes_json = ["/api/me/", "/api/me/password/", "/api/me/logout/"].contains(&operation.template.as_str());
    assert!(takes_seats || takes_json || operation.fields.is_empty(), "{what}: {:?}", operation.fields);
    let mut body = json!({ unknown: [6] });
    let (mut form, mut fields) = (format!("{unknown}=6"), vec![(unknown, 6)]);
    if takes_seats {
        body["seats"] = json!([6]);
        form += "&seats=6";
        fields.push(("seats", 6));
    }
    names(&operation.call(user, "").json(body).send(app).await, unknown, &what);
    for (media_type, body) in [(FORM, form), (MULTIPART, parts(fields))] {
        let reply = operation.call(user, "").body(Some(media_type), body).send(app).await;
        if takes_json {
            reply.expect(415);
        } else {
            names(&reply, unknown, &what);
        }
    }
}

async fn own_endpoints_refuse_unknown_fields(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ann = &world.ann;
    let made = made(&app, &world).await;
    let state = async || {
        let rows = app.sql("SELECT id, user_id, seat_number, status, order_id FROM bookings ORDER BY id").await;
        (rows, app.sql("SELECT id, status, expires_at, version FROM orders ORDER BY id").await)
    };
    let before = state().await;
    let (mut own, mut posts) = (0, 0);
    for operation in operations(&app, &made).await.iter().filter(|operation| !operation.is_of_the_contract) {
        own += 1;
        let shown = format!("{} {}", operation.method, operation.template);
        for query in ["?seats=6", "?Limit=5", "?limit[]=5", "?format=json&x=", "?%6Cimits=1"] {
            let name = query.rsplit(['?', '&']).next().and_then(|last| last.split('=').next()).expect("a name");
            let name = name.replace("%6C", "l");
            // All required fields are present.
            let call = operation.call(ann, query).json(json!({"seats": [6]}));
            names(&call.send(&app).await, &name, &format!("{shown} {query}"));
        }
        if operation.method == "GET" {
            operation.call(ann, "?format=json").send(&app).await.expect(200);
            continue;
        }
        posts += 1;
        for unknown in ["x", "seat", "Seats", "status", "seats[x]", "seats[0]x", "seat[]"] {
            refuses_unknown(&app, ann, operation, unknown).await;
        }
        // In JSON, a list needs no brackets in its name.
        for bracketed in ["seats[]", "seats[0]"] {
            names(&operation.call(ann, "").json(json!({ bracketed: [6] })).send(&app).await, bracketed, &shown);
        }
        let twice = operation.call(ann, "").body(Some("application/json"), r#"{"seats":[6],"seats":[7]}"#);
        twice.send(&app).await.expect(400);
        operation.call(ann, "").body(None, "x").send(&app).await.expect(415);
    }
    assert!((own, posts) >= (14, 7), "{own} own operations, {posts} of them POST");
    assert_eq!(state().await, before, "a refused request has changed something");
    let many: Value =
        (0..40).map(|n| (format!("{n}{}", "x".repeat(20)), json!(1))).collect::<serde_json::Map<_, _>>().into();
    let told = act(ann, &made.held, "extend").json(many).send(&app).await.expect(400).json();
    assert_eq!(told.as_object().expect("an object").len(), 20, "a stranger's names have a limit");
    let twice = get(ann, "/api/orders/?limit=5&limit=6").send(&app).await.expect(400).json();
    assert_eq!(twice, json!({"limit": ["This parameter may appear only once."]}));

    // Without a body, or with an empty object, they do their normal work.
    act(ann, &made.held, "extend").json(json!({})).send(&app).await.expect(200);
    act(ann, &made.held, "extend").body(Some("text/plain"), "").send(&app).await.expect(200);
    act(ann, &made.held, "confirm").json(json!({})).send(&app).await.expect(201);
    // The contract's endpoints ignore unknown fields and parameters (M02, B40, C09).
    get(ann, "/api/my-bookings/?seats=6").send(&app).await.expect(200);
    let booked = post(ann, "/api/shows/1/book/?x=1").json(json!({"seat_number": 20, "seats": [21], "x": 1}));
    let id = booked.send(&app).await.expect(201).json()["id"].clone();
    post(ann, &format!("/api/bookings/{id}/cancel/?x=1")).json(json!({"x": 1})).send(&app).await.expect(200);
    is_consistent(&app).await;
}

/// Many clients write a list in a form this way.
async fn a_bracketed_list_is_a_list(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ann = &world.ann;
    let mut first = 1;
    type Body = fn(&[i64]) -> String;
    let bodies: [(&str, Body); 6] = [
        (FORM, |seats| seats.iter().map(|seat| format!("seats={seat}&")).collect()),
        (FORM, |seats| seats.iter().map(|seat| format!("seats[]={seat}&")).collect()),
        (FORM, |seats| seats.iter().map(|seat| format!("seats%5B%5D={seat}&")).collect()),
        (FORM, |seats| seats.iter().enumerate().map(|(place, seat)| format!("seats[{place}]={seat}&")).collect()),
        (FORM, |seats| seats.iter().enumerate().rev().map(|(place, seat)| format!("seats[{place}]={seat}&")).collect()),
        (MULTIPART, |seats| parts(seats.iter().map(|seat| ("seats[]", *seat)))),
    ];
    for (kind, body) in bodies {
        let seats = [first, first + 1, first + 2];
        first += 3;
        let sent = post(ann, "/api/shows/1/holds/").body(Some(kind), body(&seats));
        let held = sent.send(&app).await.expect(201).json();
        assert_eq!(held["seats"], json!(seats), "{kind} {}", body(&seats));
        let ordered = act(ann, &held, "confirm").send(&app).await.expect(201).json();
        let cancel = format!("/api/orders/{}/cancel/", ordered["code"].as_str().expect("a code"));
        let left = post(ann, &cancel).body(Some(kind), body(&seats[1..2])).send(&app).await.expect(200).json();
        assert_eq!(left["seats"], json!([seats[0], seats[2]]), "{kind} {}", body(&seats[1..2]));
    }
    for (body, fault) in [
        ("seats[]=x", "A valid integer is required."),
        ("seats[]=", "A valid integer is required."),
        ("seats[]=40&seats=40", "Ensure these values are different."),
    ] {
        let reply = post(ann, "/api/shows/1/holds/").body(Some(FORM), body).send(&app).await.expect(400).json();
        assert_eq!(reply, json!({"seats": [fault]}), "{body}");
    }
    is_consistent(&app).await;
}

/// Only an empty body means "all", not a body with unknown names.
async fn cancelling_all_needs_an_empty_body(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ann = &world.ann;
    let held = hold(ann, 1, &[5, 6, 7]).send(&app).await.expect(201).json();
    let ordered = act(ann, &held, "confirm").send(&app).await.expect(201).json();
    let path = format!("/api/orders/{}/", ordered["code"].as_str().expect("a code"));
    let cancel = |query: &str| post(ann, &format!("{path}cancel/{query}"));
    for body in
        [json!({"seat": [6]}), json!({"Seats": [6]}), json!({"seats[]": [6]}), json!({"seats": null}), json!([])]
    {
        cancel("").json(body).send(&app).await.expect(400);
    }
    for form in ["seat=6", "Seats=6", "seats[a]=6", "{}"] {
        cancel("").body(Some(FORM), form).send(&app).await.expect(400);
    }
    cancel("?seats=6").send(&app).await.expect(400);
    assert_eq!(get(ann, &path).send(&app).await.expect(200).json(), ordered, "nothing was cancelled");
    assert_eq!(cancel("").json(json!({})).send(&app).await.expect(200).json()["seats"], json!([]));
}

async fn compressed_bodies_are_refused(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let made = made(&app, &world).await;
    let mut posts = 0;
    for operation in operations(&app, &made).await.iter().filter(|operation| operation.method != "GET") {
        posts += 1;
        for encoding in ["gzip", "br", "zstd", "identity, gzip", "x"] {
            let call = operation.call(&world.ann, "").header("Content-Encoding", encoding);
            let reply = call.body(Some("application/json"), &b"\x1f\x8b\x08"[..]).send(&app).await;
            assert_eq!(reply.status, 415, "{}: {reply:?}", operation.path);
            let told = reply.json()["detail"].clone();
            assert!(
                told.as_str().is_some_and(|told| told.contains(encoding) && told.contains("uncompressed")),
                "{told}"
            );
            assert_eq!(reply.header("accept-encoding").as_deref(), Some("identity"));
        }
    }
    assert!(posts >= 11, "{posts}");
    // Checked together with the Content-Type: after the token and the method.
    let nobody = Call::post("/api/shows/1/book/").header("Content-Encoding", "gzip").json(json!({"seat_number": 1}));
    nobody.send(&app).await.expect(401);
    booking(&world.ann, 1, 30).header("Content-Encoding", "Identity").send(&app).await.expect(201);
    act(&world.ann, &made.held, "extend").header("Content-Encoding", "gzip").send(&app).await.expect(200);
    let form = Call::post("/admin/login/").header("Content-Encoding", "gzip").body(Some(FORM), "username=x");
    let reply = form.send(&app).await.expect(415);
    assert!(reply.text.contains("uncompressed"), "{}", reply.text);
}

async fn the_schema_forbids_unknown_fields(engine: Engine) {
    let app = App::start(engine).await;
    let schema = Call::get("/api/schema/?format=json").send(&app).await.expect(200).json();
    for (path, method, is_needed) in [
        ("/api/orders/{code}/cancel/", "post", false),
        ("/api/shows/{show_id}/holds/", "post", true),
        ("/api/holds/{hold_id}/change/", "post", true),
        ("/api/me/password/", "post", true),
        ("/api/me/", "patch", true),
    ] {
        let body = &schema["paths"][path][method]["requestBody"];
        assert_eq!(body["required"].as_bool().unwrap_or_default(), is_needed, "{path}: {body}");
        let name = body["content"]["application/json"]["schema"]["$ref"].as_str().expect("a named schema");
        let object = schema.pointer(&name[1..]).expect("a schema");
        assert_eq!(object["additionalProperties"], json!(false), "{path}: {object}");
    }
    assert_eq!(schema["paths"]["/api/shows/{show_id}/book/"]["post"]["requestBody"]["required"], json!(true));
}
