import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./openapi-typescript/schema.js";

type Schemas = components["schemas"];

const [baseUrl = "", username = "", password = ""] = process.argv.slice(2);
const api = createClient<paths>({ baseUrl });
const key = () => ({ "Idempotency-Key": crypto.randomUUID() });

const account = { username, email: `${username}@example.com`, password, password2: password };
assert.equal((await api.POST("/api/signup/", { body: account })).response.status, 201);
const denied = await api.POST("/api/login/", { body: { username, password: "not it" } });
assert.equal(denied.response.status, 401);
assert.ok(denied.error && "detail" in denied.error);

const tokens = await api.POST("/api/login/", { body: { username, password } });
assert.ok(tokens.data);
const refreshed = await api.POST("/api/token/refresh/", { body: { refresh: tokens.data.refresh } });
assert.ok(refreshed.data);
const access: string = refreshed.data.access;
api.use({ onRequest: ({ request }) => request.headers.set("Authorization", `Bearer ${access}`) });
assert.equal((await api.GET("/api/me/")).data?.username, username);

const movie = (await api.GET("/api/movies/")).data?.[0];
assert.ok(movie && movie.duration_minutes > 0);
const shows = await api.GET("/api/movies/{movie_id}/shows/", { params: { path: { movie_id: movie.id } } });
const show = shows.data?.findLast((show) => show.available_seats === show.total_seats);
assert.ok(show && new Date(show.date_time) > new Date());

const path = { show_id: show.id };
const request = { params: { path, header: key() }, body: { seats: [5, 6] } };
const held = await api.POST("/api/shows/{show_id}/holds/", request);
assert.ok(held.data && held.data.expires_in_seconds > 0);
const repeated = await api.POST("/api/shows/{show_id}/holds/", request);
assert.equal(repeated.data?.id, held.data.id);

const confirmation = { params: { path: { hold_id: held.data.id }, header: key() } };
const bought = await api.POST("/api/holds/{hold_id}/confirm/", confirmation);
assert.equal(bought.data?.code, held.data.order);
const order = { params: { path: { code: held.data.order } } };
assert.deepEqual((await api.GET("/api/orders/{code}/", order)).data?.seats, [5, 6]);

const taken = await api.POST("/api/shows/{show_id}/holds/", { params: { path }, body: { seats: [6, 7] } });
assert.equal(taken.response.status, 409);
const refusal: paths["/api/shows/{show_id}/holds/"]["post"]["responses"][409]["content"]["application/json"] =
  taken.error as Schemas["Refusal"];
assert.equal(refusal.code, "seat_taken");
assert.deepEqual(refusal.seats, [6]);
const booked = await api.POST("/api/shows/{show_id}/book/", { params: { path }, body: { seat_number: 6 } });
assert.equal(booked.response.headers.get("X-Error-Code"), "seat_taken");
const empty = await api.POST("/api/shows/{show_id}/holds/", { params: { path }, body: { seats: [] } });
assert.equal(empty.response.status, 400);
assert.ok(empty.error && "seats" in empty.error);

// The cancellation of all seats has no body.
const cancelled = await api.POST("/api/orders/{code}/cancel/", order);
// A text, not an enumeration: values may be added.
const status: string | undefined = cancelled.data?.status;
assert.equal(status, "cancelled");
const page = await api.GET("/api/orders/", { params: { query: { limit: 1 } } });
const next: string | null | undefined = page.data?.next;
assert.equal(next, null);

// The compiler refuses anything that the schema does not allow.
// @ts-expect-error a seat number is a number
const _text: Schemas["BookSeat"] = { seat_number: "3" };
// @ts-expect-error a login needs a password
const _partial: Schemas["Login"] = { username: "demo" };
// @ts-expect-error there is no such path
const _path: keyof paths = "/api/nothing/";
