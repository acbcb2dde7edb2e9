import sys
import uuid
from http import HTTPStatus

from python_client import AuthenticatedClient, Client, models
from python_client.api.accounts import get_me, login, signup
from python_client.api.bookings import book_seat
from python_client.api.holds import confirm_hold, hold_seats
from python_client.api.movies import list_movies, list_shows
from python_client.api.orders import cancel_order, get_order, list_orders

url, username, password = sys.argv[1:]
visitor = Client(base_url=url)
email = f"{username}@example.com"
account = models.Signup(username=username, email=email, password=password, password2=password)
assert isinstance(signup.sync(client=visitor, body=account), models.User)
tokens = login.sync(client=visitor, body=models.Login(username=username, password=password))
api = AuthenticatedClient(base_url=url, token=tokens.access)
assert get_me.sync(client=api).username == username

movie = list_movies.sync(client=api)[0]
shows = list_shows.sync(movie.id, client=api)
show = [show for show in shows if show.available_seats == show.total_seats][-1]

key = str(uuid.uuid4())
hold = hold_seats.sync(show.id, client=api, body=models.Seats(seats=[5, 6]), idempotency_key=key)
assert hold_seats.sync(show.id, client=api, body=models.Seats(seats=[5, 6]), idempotency_key=key).id == hold.id
assert confirm_hold.sync(hold.id, client=api, idempotency_key=str(uuid.uuid4())).code == hold.order
assert get_order.sync(hold.order, client=api).seats == [5, 6]

taken = hold_seats.sync_detailed(show.id, client=api, body=models.Seats(seats=[6, 7]))
assert taken.status_code == HTTPStatus.CONFLICT and isinstance(taken.parsed, models.Refusal), taken
assert (taken.parsed.code, taken.parsed.seats) == ("seat_taken", [6])
booked = book_seat.sync_detailed(show.id, client=api, body=models.BookSeat(seat_number=6))
assert booked.status_code == HTTPStatus.CONFLICT and booked.headers["X-Error-Code"] == "seat_taken", booked
empty = hold_seats.sync_detailed(show.id, client=api, body=models.Seats(seats=[]))
assert empty.status_code == HTTPStatus.BAD_REQUEST and isinstance(empty.parsed, models.FieldErrors), empty
assert "seats" in empty.parsed

# The cancellation of all seats has no body.
assert cancel_order.sync(hold.order, client=api).status == "cancelled"
assert list_orders.sync(client=api, limit=1).next_ is None
