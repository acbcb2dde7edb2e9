"""Settings of the Django project; DATABASE_URL and SECRET_KEY come from the environment."""

import os
from urllib.parse import unquote, urlsplit

import pymysql

pymysql.install_as_MySQLdb()

SECRET_KEY = os.environ["SECRET_KEY"]
url = urlsplit(os.environ["DATABASE_URL"])
if url.scheme == "sqlite":
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": unquote(url.netloc + url.path)}}
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.mysql",
            "NAME": url.path[1:],
            "HOST": url.hostname,
            "PORT": url.port,
            "USER": url.username,
            "PASSWORD": unquote(url.password or ""),
        }
    }
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "booking"]
# The first is for new passwords; the others are chosen by the name in the hash.
PASSWORD_HASHERS = [
    "booking.hashers.FewerIterations",
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
USE_TZ = True
TIME_ZONE = "America/New_York"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
