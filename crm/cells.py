"""More ways to read a cell of an import: yes or no, some of few, a moment; and who entered something, and when."""

import re
from datetime import datetime, time
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from crm.fields import CLOCK, DayField, MomentField, narrow
from crm.models import User
from crm.permissions import allows
from crm.resources import Cell, Column, Few, Person, in_every_language, same

SECONDS = re.compile(r"(\d:\d\d):\d\d(?:\.\d+)?$")  # which spreadsheets write, and a form does not take

# Further headings of the columns of `authorship`, as `Importing.aliases` has them.
AUTHORSHIP = {
    "created_at": "created on, created date, create date, creation date, date created, 创建日期, 创建时间, 录入日期",
    "created_by": "creator, author, entered by, 创建人, 创建者, 录入人",
}


class YesNo(Few):
    """Yes or no, as people and programs write them; `yes` and `no` are further words for each."""

    def __init__(self, *, yes="", no=""):
        words = [
            ("yes", _("Yes"), f"true, 1, y, t, on, x, ✓, √, 是, 对, {yes}", True),
            ("no", _("No"), f"false, 0, n, f, off, 否, 不是, {no}", False),
        ]
        super().__init__(
            (key, [label, *in_every_language(label), *filter(None, more.split(", "))], value)
            for key, label, more, value in words
        )

    @classmethod
    def in_use(cls):
        """This will read whether something is in use still."""
        return cls(yes="active, in use, enabled, 启用, 在用, 有效", no="inactive, retired, disabled, 停用, 作废, 无效")


class Together(list):
    """Several values of one cell, written as people write several."""

    def __str__(self):
        return pgettext("between the members of a list", ", ").join(str(one) for one in self)


class Several(Few):
    """Some of few, with commas or semicolons between them. Reads as a list, or None."""

    def read(self, text):
        parts = [part for part in re.split(r"[,，;；、\n]", text) if part.strip()]
        if len(parts) < 2 or same(text) in self._by_name:
            parts = [text]
        found = [super(Several, self).read(part) for part in parts]
        return None if found == [None] else Together(dict.fromkeys(found))


class Percent(Cell):
    """A whole number of hundredths as the form takes it; and as sheets hold it, 0.35 or 35.00%."""

    def read(self, text):
        share = narrow(text).strip()
        if re.fullmatch(r"0?\.\d+", share, re.ASCII):  # 1, which has no point, is one in a hundred
            text = f"{Decimal(share).scaleb(2).normalize():f}"
        elif (found := re.fullmatch(r"(\d+)\.0+\s*(%?)", share, re.ASCII)) and found.groups() != ("1", ""):
            text = found[1]  # 1.0 alone may be all or one in a hundred, which is left to the form to refuse
        return super().read(text)


class EndedPercent(Percent):
    """That of past cases: 0 or 100, which where a case ended follows from its end, is nothing said."""

    def read(self, text):
        share = narrow(text).strip().removesuffix("%").strip()
        return None if re.fullmatch(r"(0|100)(\.0+)?", share, re.ASCII) else super().read(text)


class At(Cell):
    """A moment as the form takes it; and a day alone, as spreadsheets have them, which stands for its morning."""

    MORNING = time(9)

    def read(self, text):
        try:
            day = DayField(required=False).clean(text)
        except ValidationError:
            return super().read(SECONDS.sub(r"\1", text))
        return timezone.make_aware(datetime.combine(day, self.MORNING)) if day else super().read(text)


class Once(At):
    """A moment that lies behind; of today's day alone, this one where its morning lies ahead."""

    messages = Cell.messages | {"ahead": _("This lies ahead. Write when it was.")}

    def read(self, text):
        moment, now = super().read(text), timezone.now()
        if moment is None or moment <= now:
            return moment
        if timezone.localdate(moment) > timezone.localdate(now) or CLOCK.fullmatch(narrow(text)):
            self.refuse("ahead", text)
        return now


class Day(Cell):
    """A day as the form takes it; of a moment, as lists give it out, its day."""

    def read(self, text):
        found = CLOCK.fullmatch(narrow(SECONDS.sub(r"\1", text.strip())))
        return super().read(found["day"] if found else text)


def authorship(user):
    """This will list the columns that say who entered something and when, for those who may import the past."""
    if not allows(user, "import_past"):
        return []
    return [
        Column("created_at", _("Created"), Once(MomentField(required=False))),
        Column("created_by", _("Created by"), Person(User.objects.all())),  # those who left have entered things too
    ]
