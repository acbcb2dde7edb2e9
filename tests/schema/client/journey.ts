// What an app does, with the client that openapi-typescript and openapi-fetch generate from the schema. The compiler
// checks every field and status below.
import assert from "node:assert/strict";
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Booking = components["schemas"]["Booking"];

export async function journey(baseUrl: string, login: components["schemas"]["Login"]): Promise<void> {
  const api = createClient<paths>({ baseUrl });

  const refused = await api.POST("/api/login/", { body: { ...login, password: "not it" } });
  assert.equal(refused.response.status, 401);
  assert.ok(refused.error && "detail" in refused.error);

  const tokens = await api.POST("/api/login/", { body: login });
  assert.ok(tokens.data, "logged in");
  let access: string = tokens.data.access;
  api.use({
    onRequest({ request }) {
      request.headers.set("Authorization", `Bearer ${access}`);
    },
  });
  const refreshed = await api.POST("/api/token/refresh/", { body: { refresh: tokens.data.refresh } });
  assert.ok(refreshed.data, "refreshed");
  access = refreshed.data.access;

  const movies = await api.GET("/api/movies/");
  const movie = movies.data?.[0];
  assert.ok(movie && movie.duration_minutes > 0, "movies");

  const shows = await api.GET("/api/movies/{movie_id}/shows/", { params: { path: { movie_id: movie.id } } });
  const show = shows.data?.findLast((show) => show.available_seats === show.total_seats);
  assert.ok(show, "a show with free seats");
  assert.equal(show.movie_title, movie.title);
  assert.ok(new Date(show.date_time) > new Date(), "it is in the future");

  const seat = { params: { path: { show_id: show.id } }, body: { seat_number: 3 } };
  const booked = await api.POST("/api/shows/{show_id}/book/", seat);
  assert.equal(booked.response.status, 201);
  assert.ok(booked.data);
  const booking: Booking = booked.data;

  const again = await api.POST("/api/shows/{show_id}/book/", seat);
  assert.equal(again.response.status, 409);
  const conflict: paths["/api/shows/{show_id}/book/"]["post"]["responses"][409]["content"]["application/json"] =
    again.error as components["schemas"]["Detail"];
  assert.equal(conflict.detail, "This seat is already booked.");
  assert.equal(again.response.headers.get("X-Error-Code"), "seat_taken");

  const wrong = await api.POST("/api/shows/{show_id}/book/", { ...seat, body: { seat_number: 1_000_000 } });
  assert.equal(wrong.response.status, 400);
  assert.ok(wrong.error && "seat_number" in wrong.error, "the wrong field is named");

  const own = await api.GET("/api/my-bookings/");
  assert.deepEqual(own.data?.[0], booking);

  const cancelled = await api.POST("/api/bookings/{booking_id}/cancel/", { params: { path: { booking_id: booking.id } } });
  // A text, not an enumeration: values may be added.
  const status: string | undefined = cancelled.data?.status;
  assert.equal(status, "cancelled");

  const twice = await api.POST("/api/bookings/{booking_id}/cancel/", { params: { path: { booking_id: booking.id } } });
  assert.equal(twice.response.status, 409);

  await buySeveral(api, show.id);

  // The compiler refuses anything that the schema does not allow.
  // @ts-expect-error a seat number is a number
  const _text: components["schemas"]["BookSeat"] = { seat_number: "3" };
  // @ts-expect-error a login needs a password
  const _partial: components["schemas"]["Login"] = { username: "demo" };
  // @ts-expect-error there is no such path
  const _path: keyof paths = "/api/nothing/";
}

// Holds seats, confirms them twice, and cancels the order without a body.
async function buySeveral(api: Client<paths>, showId: number): Promise<void> {
  const cinema = await api.GET("/api/cinema/");
  assert.ok(cinema.data && cinema.data.limits.seats_per_request >= 2);
  const me = await api.GET("/api/me/");
  assert.equal(me.data?.username, "demo");

  const path = { show_id: showId };
  const held = await api.POST("/api/shows/{show_id}/holds/", { params: { path }, body: { seats: [5, 6] } });
  assert.ok(held.data && held.data.expires_in_seconds > 0, "held");
  const hold = { params: { path: { hold_id: held.data.id } } };
  const confirmed = await api.POST("/api/holds/{hold_id}/confirm/", hold);
  assert.equal(confirmed.data?.code, held.data.order);
  const again = await api.POST("/api/holds/{hold_id}/confirm/", hold);
  const refusal = again.error as components["schemas"]["Refusal"];
  assert.equal(refusal.code, "hold_confirmed");
  assert.equal(refusal.order, held.data.order);

  const order = { params: { path: { code: held.data.order } } };
  const cancelled = await api.POST("/api/orders/{code}/cancel/", order);
  assert.deepEqual(cancelled.data?.seats, []);
  const page = await api.GET("/api/orders/", { params: { query: { limit: 1 } } });
  const next: string | null | undefined = page.data?.next;
  assert.notEqual(next, undefined);
}
