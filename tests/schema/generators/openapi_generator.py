import sys
import uuid

import generator_client as client

_, username, password = sys.argv[1:]
# The client knows the server's address from the schema.
configuration = client.Configuration()
with client.ApiClient(configuration) as api:
    accounts, holds, movies, orders = (
        kind(api) for kind in (client.AccountsApi, client.HoldsApi, client.MoviesApi, client.OrdersApi)
    )
    email = f"{username}@example.com"
    accounts.signup(client.Signup(username=username, email=email, password=password, password2=password))
    configuration.access_token = accounts.login(client.Login(username=username, password=password)).access
    assert accounts.get_me().username == username

    movie = movies.list_movies()[0]
    show = [show for show in movies.list_shows(movie.id) if show.available_seats == show.total_seats][-1]

    key = str(uuid.uuid4())
    hold = holds.hold_seats(show.id, client.SeatsOrBest(seats=[5, 6]), idempotency_key=key)
    assert holds.hold_seats(show.id, client.SeatsOrBest(seats=[5, 6]), idempotency_key=key).id == hold.id
    assert holds.confirm_hold(hold.id, idempotency_key=str(uuid.uuid4())).code == hold.order
    assert orders.get_order(hold.order).seats == [5, 6]

    def refusal(request, *arguments):
        try:
            reply = request(*arguments)
        except client.ApiException as error:
            return error
        raise AssertionError(f"not refused: {reply}")

    taken = refusal(holds.hold_seats, show.id, client.SeatsOrBest(seats=[6, 7]))
    assert taken.status == 409 and isinstance(taken.data, client.Refusal), taken
    assert (taken.data.code, taken.data.seats) == ("seat_taken", [6])
    booked = refusal(client.BookingsApi(api).book_seat, show.id, client.BookSeat(seat_number=6))
    assert booked.status == 409 and booked.headers["X-Error-Code"] == "seat_taken", booked
    wrong = refusal(holds.hold_seats, show.id, client.SeatsOrBest(seats=[1_000_000]))
    assert wrong.status == 400 and "seats" in wrong.data.actual_instance, wrong

    # The cancellation of all seats has no body.
    assert orders.cancel_order(hold.order).status == "cancelled"
    assert orders.list_orders(limit=1).next is None
