"""A way to keep passwords that counts how often it was asked to work, for what should take the same time."""

from django.contrib.auth.hashers import MD5PasswordHasher

worked = []


class Counted(MD5PasswordHasher):
    def encode(self, password, salt):
        worked.append(password)
        return super().encode(password, salt)
