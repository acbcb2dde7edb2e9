import assert from "node:assert/strict";
import {
  bookSeat, cancelOrder, confirmHold, getMe, getOrder, holdSeats, listMovies, listOrders, listShows, login, signup,
} from "./orval/client.js";

const [, username = "", password = ""] = process.argv.slice(2);
// The client knows the server's address from the schema.
const account = { username, email: `${username}@example.com`, password, password2: password };
assert.equal((await signup(account)).status, 201);
const tokens = await login({ username, password });
assert.ok(tokens.status === 200);
const options = { headers: { Authorization: `Bearer ${tokens.data.access}` } };
const me = await getMe(options);
assert.ok(me.status === 200 && me.data.username === username);

const movies = await listMovies(options);
assert.ok(movies.status === 200);
const [movie] = movies.data;
assert.ok(movie && movie.duration_minutes > 0);
const shows = await listShows(movie.id, options);
assert.ok(shows.status === 200);
const show = shows.data.findLast((show) => show.available_seats === show.total_seats);
assert.ok(show);

const key = () => ({ "Idempotency-Key": crypto.randomUUID() });
const sameKey = key();
const hold = await holdSeats(show.id, { seats: [5, 6] }, undefined, sameKey, options);
assert.ok(hold.status === 201);
const repeated = await holdSeats(show.id, { seats: [5, 6] }, undefined, sameKey, options);
assert.ok(repeated.status === 201 && repeated.data.id === hold.data.id);
const bought = await confirmHold(hold.data.id, {}, key(), options);
assert.ok(bought.status === 201 && bought.data.code === hold.data.order);
const order = await getOrder(bought.data.code, options);
assert.ok(order.status === 200);
assert.deepEqual(order.data.seats, [5, 6]);

const taken = await holdSeats(show.id, { seats: [6, 7] }, undefined, undefined, options);
assert.ok(taken.status === 409 && taken.data.code === "seat_taken");
assert.deepEqual(taken.data.seats, [6]);
const booked = await bookSeat(show.id, { seat_number: 6 }, undefined, options);
assert.equal(booked.headers.get("X-Error-Code"), "seat_taken");
const empty = await holdSeats(show.id, { seats: [] }, undefined, undefined, options);
assert.ok(empty.status === 400 && "seats" in empty.data);

// The cancellation of all seats has no body.
const cancelled = await cancelOrder(bought.data.code, undefined, key(), options);
assert.ok(cancelled.status === 200 && cancelled.data.status === "cancelled");
const page = await listOrders({ limit: 1 }, options);
assert.ok(page.status === 200 && page.data.next === null);
