"""The tables of a Django deployment, each with one column that Marquee does not have."""

from django.conf import settings
from django.db import models


class Movie(models.Model):
    title = models.CharField(max_length=255)
    duration_minutes = models.PositiveIntegerField()
    poster = models.CharField(max_length=200, default="poster.jpg")


class Show(models.Model):
    movie = models.ForeignKey(Movie, on_delete=models.CASCADE)
    screen_name = models.CharField(max_length=255)
    date_time = models.DateTimeField()
    total_seats = models.PositiveIntegerField()
    price = models.DecimalField(max_digits=6, decimal_places=2, default="9.50")


class Booking(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    show = models.ForeignKey(Show, on_delete=models.CASCADE)
    seat_number = models.PositiveIntegerField()
    status = models.CharField(max_length=10, default="booked")
    created_at = models.DateTimeField(auto_now_add=True)
    rating = models.FloatField(default=4.5)
