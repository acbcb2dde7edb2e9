import assert from "node:assert/strict";
import { client } from "./hey-api/client.gen.js";
import {
  bookSeat, cancelOrder, confirmHold, getMe, getOrder, holdSeats, listMovies, listOrders, listShows, login, signup,
} from "./hey-api/sdk.gen.js";
import type { HoldSeatsErrors } from "./hey-api/types.gen.js";

const [, username = "", password = ""] = process.argv.slice(2);
// The client knows the server's address from the schema.
const account = { username, email: `${username}@example.com`, password, password2: password };
assert.equal((await signup({ body: account })).response?.status, 201);
const tokens = await login({ body: { username, password }, throwOnError: true });
client.setConfig({ auth: tokens.data.access });
assert.equal((await getMe()).data?.username, username);

const movie = (await listMovies()).data?.[0];
assert.ok(movie && movie.duration_minutes > 0);
const shows = await listShows({ path: { movie_id: movie.id } });
const show = shows.data?.findLast((show) => show.available_seats === show.total_seats);
assert.ok(show);

const path = { show_id: show.id };
const key = () => ({ "Idempotency-Key": crypto.randomUUID() });
const request = { path, body: { seats: [5, 6] }, headers: key() };
const hold = (await holdSeats({ ...request, throwOnError: true })).data;
assert.equal((await holdSeats(request)).data?.id, hold.id);
const bought = await confirmHold({ path: { hold_id: hold.id }, headers: key() });
assert.equal(bought.data?.code, hold.order);
const order = { path: { code: hold.order } };
assert.deepEqual((await getOrder(order)).data?.seats, [5, 6]);

const taken = await holdSeats({ path, body: { seats: [6, 7] } });
assert.equal(taken.response?.status, 409);
const refusal = taken.error as HoldSeatsErrors[409];
assert.equal(refusal.code, "seat_taken");
assert.deepEqual(refusal.seats, [6]);
const booked = await bookSeat({ path, body: { seat_number: 6 } });
assert.equal(booked.response?.headers.get("X-Error-Code"), "seat_taken");
const empty = await holdSeats({ path, body: { seats: [] } });
assert.equal(empty.response?.status, 400);
assert.ok("seats" in (empty.error as HoldSeatsErrors[400]));

// The cancellation of all seats has no body.
assert.equal((await cancelOrder(order)).data?.status, "cancelled");
assert.equal((await listOrders({ query: { limit: 1 } })).data?.next, null);
