from django.contrib.auth.hashers import PBKDF2PasswordHasher


class FewerIterations(PBKDF2PasswordHasher):
    """Django's default, except that a debug build of Marquee needs seconds for its million iterations."""

    iterations = 20_000
