"""Creates a Django deployment's database, with Django itself; run by tests/it/operation/import_django.rs.

make.py cinema          migrate, then add users, movies, shows and bookings
make.py bookings COUNT  add a show, and bookings of all its seats
make.py token USERNAME…  print access tokens as simplejwt creates them
make.py sql STATEMENT…  run statements without checking foreign keys
"""

import os
import sys
from datetime import datetime, timezone

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
django.setup()

from booking.models import Booking, Movie, Show  # noqa: E402
from django.contrib.auth.hashers import make_password  # noqa: E402
from django.contrib.auth.models import Group, Permission, User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

PASSWORD = "Sturdy-Lantern-42"


def cinema():
    if connection.vendor == "mysql":
        with connection.cursor() as cursor:
            # As Django's documentation requires; the server's default may be latin1.
            cursor.execute("ALTER DATABASE CHARACTER SET utf8mb4")
    call_command("migrate", verbosity=0)
    gone = User.objects.create_user("gone")
    ann = User.objects.create_user("Ann", "ann@example.com", PASSWORD, first_name="Ann", last_name="Ångström 🎬")
    bob = User.objects.create_user("bob", "bob@example.com", PASSWORD, is_staff=True, is_active=False)
    bob.last_login = datetime(2024, 2, 29, 23, 59, 59, 7, tzinfo=timezone.utc)
    bob.save()
    User.objects.create_superuser("root", "root@example.com", PASSWORD)
    for name, codenames in [
        ("Kasse", ["view_show", "view_booking", "change_booking", "delete_booking", "view_permission"]),
        ("Manager", ["view_movie"]),
    ]:
        group = Group.objects.create(name=name)
        group.permissions.set(Permission.objects.filter(codename__in=codenames))
        group.user_set.add(bob)
    ann.user_permissions.add(Permission.objects.get(codename="add_movie"))
    User.objects.create_user("nopass", "nopass@example.com")
    for name, hasher in [("argon", "argon2"), ("scrypt", "scrypt")]:
        user = User(username=name, email=f"{name}@example.com", password=make_password(PASSWORD, hasher=hasher))
        user.save()
    long_take = Movie.objects.create(title="The Long Take — “Überlänge”", duration_minutes=142)
    other = Movie.objects.create(title="No Shows Tonight", duration_minutes=95)
    Movie.objects.create(title="Withdrawn", duration_minutes=1).delete()
    future = datetime(2035, 6, 1, 18, 30, 0, 91028, tzinfo=timezone.utc)
    past = datetime(2020, 1, 1, 12, tzinfo=timezone.utc)
    first = Show.objects.create(movie=long_take, screen_name="Screen 1", date_time=future, total_seats=50)
    Show.objects.create(movie=long_take, screen_name="screen 1", date_time=future, total_seats=2)
    Show.objects.create(movie=other, screen_name=" Screen 1 ", date_time=past, total_seats=10)
    Show.objects.create(movie=other, screen_name="Screen 1", date_time=past, total_seats=1).delete()
    booked = [Booking.objects.create(user=ann, show=first, seat_number=seat) for seat in (1, 2, 50)]
    Booking.objects.create(user=bob, show=first, seat_number=3, status="cancelled")
    Booking.objects.create(user=ann, show=first, seat_number=3, status="cancelled")
    Booking.objects.create(user=bob, show=first, seat_number=3)
    Booking.objects.filter(id=booked[1].id).delete()
    # Delete the rows with the highest ids.
    User.objects.create_user("late").delete()
    Booking.objects.create(user=bob, show=first, seat_number=4).delete()
    gone.delete()


def bookings(count):
    user = User.objects.get(username="Ann")
    when = datetime(2036, 1, 1, tzinfo=timezone.utc)
    show = Show.objects.create(movie=Movie.objects.first(), screen_name="Arena", date_time=when, total_seats=count)
    rows = (Booking(user=user, show=show, seat_number=seat) for seat in range(1, int(count) + 1))
    Booking.objects.bulk_create(rows, batch_size=1000)


def token(*usernames):
    from rest_framework_simplejwt.tokens import AccessToken

    for username in usernames:
        print(AccessToken.for_user(User.objects.get(username=username)))


def sql(*statements):
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


command, *arguments = sys.argv[1:]
{"cinema": cinema, "bookings": bookings, "token": token, "sql": sql}[command](*arguments)
