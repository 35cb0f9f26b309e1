"""Whom a comment may mention."""

from django.utils.translation import gettext as _

from crm.permissions import permits
from crm.pickers import PersonPicker


class MentionPicker(PersonPicker):
    """
    Anybody but oneself; the second line says of whom it would be refused. Of namesakes, the user name is what mentions
    one of them.
    """

    def __init__(self, about, **kwargs):
        super().__init__(**kwargs)
        self.about = about

    def queryset_for(self, user):
        return super().queryset_for(user).exclude(pk=user.pk)

    def second(self, person):
        where = super().second(person)
        return where if permits(person, "view", self.about) else _("%(person)s; cannot see this") % {"person": where}

    def option(self, person):
        return super().option(person) | {"username": person.username}
