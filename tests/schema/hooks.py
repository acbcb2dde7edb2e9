"""What Schemathesis can't know about the API: which ids exist, and which input is accepted beyond the schema."""

import json
import re
import zlib

import schemathesis

# The sample data has some 120 shows and 170 blocked seats, whose ids are followed by those of the customer's bookings; the
# bookings of other users come next.
ID_RANGE = 220
SEAT_RANGE = 130

# They take no forms.
JSON_ONLY = ("change_password", "change_me")


@schemathesis.hook
def before_load_schema(ctx, raw_schema):
    """Adds forms and multipart, which the schema leaves out to keep generated clients simple."""
    for methods in raw_schema["paths"].values():
        for operation in methods.values():
            body = operation.get("requestBody")
            if body and operation["operationId"] not in JSON_ONLY:
                plain = body["content"]["application/json"]
                body["content"]["application/x-www-form-urlencoded"] = plain
                body["content"]["multipart/form-data"] = plain


@schemathesis.hook
def map_path_parameters(ctx, path_parameters):
    """Turns half of the generated ids into ids that may exist; otherwise nearly every reply would be a 404."""
    for name, value in (path_parameters or {}).items():
        if type(value) is int and value > ID_RANGE and value % 2:
            path_parameters[name] = 1 + value % ID_RANGE
    return path_parameters


def seat_or_ticket(entry):
    """The schema gives entries no type; most become seats that exist, some of them with a ticket type."""
    if type(entry) is int:
        return 1 + entry % SEAT_RANGE if entry > SEAT_RANGE and entry % 2 else entry
    number = zlib.crc32(repr(entry).encode())
    seat = 1 + number % SEAT_RANGE
    return [seat, {"seat": seat, "type": "adult"}, {"seat": seat}, entry][number % 4]


@schemathesis.hook
def map_body(ctx, body):
    """Does the same for seats, and gives half of the accounts a valid name, email and password."""
    if isinstance(body, dict):
        seat, seats, username = body.get("seat_number"), body.get("seats"), body.get("username")
        if type(seat) is int and seat > SEAT_RANGE and seat % 2:
            body["seat_number"] = 1 + seat % SEAT_RANGE
        if isinstance(seats, list):
            body["seats"] = [seat_or_ticket(seat) for seat in seats]
        if "password2" in body and isinstance(username, str) and len(username) % 2:
            plain = re.sub(r"[^\w.@+-]", "x", username)[:100]
            body["username"] = f"{plain}-{zlib.crc32(repr(body).encode()):x}"
            body["email"] = "user@example.com"
            body["password"] = body["password2"] = "Sturdy-Lantern-42"
    return body


# Required fields of a body; numbers are accepted as text, and text as numbers.
FIELDS = {
    "/api/signup/": ("username", "email", "password", "password2"),
    "/api/login/": ("username", "password"),
    "/api/shows/{show_id}/book/": ("seat_number",),
}


@schemathesis.check
def accepted_bodies_are_readable(ctx, response, case):
    """Replaces negative_data_rejection for operations that accept more than they promise."""
    fields = FIELDS.get(case.operation.path)
    is_plain = response.request.method == "POST" and case.media_type == "application/json"
    if response.status_code not in (200, 201) or not fields or not is_plain:
        return
    body, reply = json.loads(response.request.body), json.loads(response.content)
    for field in fields:
        value = body[field]
        assert type(value) in (str, int, float) and str(value).strip(), f"{field} was accepted as {value!r}"
    if "password2" in fields:
        assert str(body["password"]).strip() == str(body["password2"]).strip(), "different passwords were accepted"
    if "seat_number" in fields:
        assert float(body["seat_number"]) == reply["seat_number"] >= 1, f"another seat was booked: {reply}"
