"""What makes a link to a password good, and for how long."""

from datetime import timedelta

from django.conf import settings
from django.contrib.auth.tokens import PasswordResetTokenGenerator

INVITATION = timedelta(days=7)


class LinkTokens(PasswordResetTokenGenerator):
    """Good for an hour or, where somebody has no password yet, for INVITATION; once, and not after a new address."""

    lag = timedelta()

    def check_token(self, user, token):
        if user is None or not user.is_active:
            return False
        if not user.has_usable_password():
            longer = type(self)()
            longer.lag = INVITATION - timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)
            return super(LinkTokens, longer).check_token(user, token)
        return super().check_token(user, token)

    def _now(self):
        return super()._now() - self.lag
