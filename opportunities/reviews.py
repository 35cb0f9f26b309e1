"""
The review that closes an opportunity: what decided it, what was learned. Administrators write the questions; answers
come in with the request to sign or to terminate, and are kept when that is granted.
"""

import re

from django.db import models
from django.db.models import Count, Q
from django.utils.translation import gettext_lazy as _

from crm import kinds
from crm.names import Picklist, localized
from crm.querysets import among
from crm.replica import reading
from crm.verbs import Refused
from notices.history import describe
from opportunities.lifecycle import State

ENDS = (State.SIGNED, State.TERMINATED)


class ReviewQuestion(Picklist):
    """What is asked when an opportunity is to be signed, or terminated, or either."""

    class Asked(models.TextChoices):
        SIGN = "sign", _("When signing")
        TERMINATE = "terminate", _("When terminating")
        BOTH = "both", _("When signing and when terminating")

    class Kind(models.TextChoices):
        CHOICE = "choice", _("One of several answers")
        TEXT = "text", _("A text")

    FIXED = ("kind",)

    asked = models.CharField(_("asked"), max_length=9, choices=Asked, default=Asked.BOTH)
    kind = models.CharField(_("kind of answer"), max_length=6, choices=Kind, default=Kind.CHOICE)
    required = models.BooleanField(_("must be answered"), default=False)

    class Meta(Picklist.Meta):
        verbose_name = _("review question")
        verbose_name_plural = _("review questions")

    @property
    def detail(self):
        return self.get_asked_display()

    def merges_into(self, other):
        return False  # an opportunity may have answered both

    @classmethod
    def for_act(cls, act):
        """This will list the questions that are asked for `act`, with their answers to choose from."""
        asked = cls.objects.filter(active=True, asked__in=[act, cls.Asked.BOTH])
        return list(asked.prefetch_related(models.Prefetch("choices", ReviewChoice.objects.filter(active=True))))


class ReviewChoice(Picklist):
    """One answer to choose from."""

    FIXED = ("question",)

    question = models.ForeignKey(
        ReviewQuestion, models.PROTECT, related_name="choices", verbose_name=_("review question")
    )

    class Meta(Picklist.Meta):
        verbose_name = _("answer to choose")
        verbose_name_plural = _("answers to choose")

    @property
    def detail(self):
        return self.question.name

    def merges_into(self, other):
        return self.question_id == other.question_id


class ReviewAnswer(models.Model):
    """What was answered for one opportunity: one of the choices, or a text."""

    opportunity = models.ForeignKey("opportunities.Opportunity", models.CASCADE, related_name="review", db_index=False)
    question = models.ForeignKey(ReviewQuestion, models.PROTECT, related_name="answers", db_index=False)
    choice = models.ForeignKey(ReviewChoice, models.PROTECT, null=True, related_name="answers")
    text = models.TextField(blank=True)

    class Meta:
        verbose_name = _("review answer")
        verbose_name_plural = _("review answers")
        constraints = [
            models.UniqueConstraint(fields=["opportunity", "question"], name="review_answer_once"),
            models.CheckConstraint(condition=Q(choice__isnull=False) | ~Q(text=""), name="review_answer_something"),
        ]

    def __str__(self):
        return str(self.choice or self.text)


class Reviewed(kinds.Field):
    """Which answer of a review was given, by its key: what the counts of the reviews lead to."""

    operators = ("is",)

    def clean_one(self, op, value):
        if not isinstance(value, str) or not re.fullmatch(r"[-\w]{1,40}", value, re.ASCII):
            raise self.wrong(value)
        return value

    def read_one(self, op, text):
        return text

    def records(self, values, user):
        return {choice.key: choice for choice in ReviewChoice.objects.filter(key__in=values)}

    def unknown(self, values, asked):
        return [value for value in values if value not in asked.records(self)]

    def compare(self, op, value, asked):
        choice = asked.records(self).get(value)
        if choice is None:
            return kinds.NOBODY, lambda record: False
        answers = ReviewAnswer.objects.filter(choice=choice)
        return among([answers.values("opportunity")]), lambda record: answers.filter(opportunity=record.pk).exists()

    def show(self, value, asked):
        return str(asked.records(self).get(value, _("unknown")))


@reading()
def counted(user, year):
    """
    This will count what was answered for the opportunities that `user` sees and that ended in `year`: for each question
    to choose from (question, [(choice, signed, terminated)]), the choices of the list and those that were retired.
    """
    seen = ReviewAnswer.opportunity.field.related_model.objects.visible_to(user)
    ended = seen.filter(closed_on__year=year).order_by().values("pk")
    found = {}
    answers = ReviewAnswer.objects.filter(opportunity__in=ended, choice__isnull=False).order_by()
    for choice, state, count in answers.values_list("choice", "opportunity__state").annotate(count=Count("*")):
        found[choice, state] = count
    questions = ReviewQuestion.objects.filter(kind=ReviewQuestion.Kind.CHOICE).prefetch_related("choices")
    return [
        (
            question,
            [(choice, *(found.get((choice.pk, state), 0) for state in ENDS)) for choice in question.choices.all()],
        )
        for question in questions
        if question.active or any((choice.pk, state) in found for choice in question.choices.all() for state in ENDS)
    ]


def asked_for(act, given):
    """
    This will give the answers `given`, {key of a question: ReviewChoice or text}, as what a round keeps of them:
    {"review": JSON}, or {} without any. Raises Refused, at the field review_<key of the question>, where one is missing
    or is none of its question.
    """
    kept = []
    for question in ReviewQuestion.for_act(act):
        answer = given.get(question.pk) or None
        field = f"review_{question.pk}"
        if answer is None:
            if question.required:
                raise Refused(_("This is to be answered."), field=field)
            continue
        is_choice = question.kind == ReviewQuestion.Kind.CHOICE
        if is_choice and (not isinstance(answer, ReviewChoice) or answer.question_id != question.pk):
            raise Refused(_("Choose one of these."), field=field)
        answered = {"choice": describe(answer), "text": ""} if is_choice else {"choice": None, "text": str(answer)}
        kept.append({"question": describe(question), **answered})
    return {"review": kept} if kept else {}


def keep(opportunity, form):
    """This will keep what a granted request answered. A choice that went meanwhile is kept as its text."""
    answers = form.get("review") or []
    questions = ReviewQuestion.objects.in_bulk([row["question"]["id"] for row in answers]) if answers else {}
    choices = ReviewChoice.objects.in_bulk([row["choice"]["id"] for row in answers if row["choice"]]) if answers else {}
    rows = []
    for row in answers:
        question = questions.get(row["question"]["id"])
        choice = choices.get(row["choice"]["id"]) if row["choice"] else None
        text = row["text"] if choice or not row["choice"] else localized(row["choice"]["label"])
        if question is not None:
            rows.append(ReviewAnswer(opportunity=opportunity, question=question, choice=choice, text=text))
    ReviewAnswer.objects.bulk_create(rows)


def reviews_of(opportunity):
    """This will list (question, answer) of a closed opportunity, in the order of the questions."""
    rows = opportunity.review.select_related("question", "choice").order_by("question__order", "question__key")
    return [(str(row.question), str(row)) for row in rows]


def answered(form):
    """This will list (question, answer) of what a request says, worded for the reader."""
    return [
        (localized(row["question"]["label"]), localized(row["choice"]["label"]) if row["choice"] else row["text"])
        for row in form.get("review") or []
    ]
