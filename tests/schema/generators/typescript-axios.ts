import assert from "node:assert/strict";
import { isAxiosError } from "axios";
import { AccountsApi, BookingsApi, Configuration, HoldsApi, MoviesApi, OrdersApi } from "./typescript-axios/index.js";
import type { Refusal, RefusalOrFieldErrors } from "./typescript-axios/index.js";

const [, username = "", password = ""] = process.argv.slice(2);
// The client knows the server's address from the schema.
const configuration = new Configuration();
const accounts = new AccountsApi(configuration);
const holds = new HoldsApi(configuration);
const orders = new OrdersApi(configuration);
const movies = new MoviesApi(configuration);

const account = { username, email: `${username}@example.com`, password, password2: password };
assert.equal((await accounts.signup(account)).status, 201);
configuration.accessToken = (await accounts.login({ username, password })).data.access;
assert.equal((await accounts.getMe()).data.username, username);

const [movie] = (await movies.listMovies()).data;
assert.ok(movie && movie.duration_minutes > 0);
const shows = (await movies.listShows(movie.id)).data;
const show = shows.findLast((show) => show.available_seats === show.total_seats);
assert.ok(show);

const key = crypto.randomUUID();
const hold = (await holds.holdSeats(show.id, { seats: [5, 6] }, key)).data;
assert.equal((await holds.holdSeats(show.id, { seats: [5, 6] }, key)).data.id, hold.id);
const bought = (await holds.confirmHold(hold.id, crypto.randomUUID())).data;
assert.equal(bought.code, hold.order);
assert.deepEqual((await orders.getOrder(hold.order)).data.seats, [5, 6]);

async function refused<Body>(request: Promise<unknown>, status: number) {
  const error: unknown = await request.then(() => "not refused", (error: unknown) => error);
  assert.ok(isAxiosError<Body>(error) && error.response?.status === status, String(error));
  return error.response;
}
const taken = await refused<Refusal>(holds.holdSeats(show.id, { seats: [6, 7] }), 409);
assert.equal(taken.data.code, "seat_taken");
assert.deepEqual(taken.data.seats, [6]);
const booked = await refused(new BookingsApi(configuration).bookSeat(show.id, { seat_number: 6 }), 409);
assert.equal(booked.headers["x-error-code"], "seat_taken");
const empty = await refused<RefusalOrFieldErrors>(holds.holdSeats(show.id, { seats: [] }), 400);
assert.ok("seats" in empty.data);

// The cancellation of all seats has no body.
assert.equal((await orders.cancelOrder(hold.order)).data.status, "cancelled");
assert.equal((await orders.listOrders(undefined, 1)).data.next, null);
