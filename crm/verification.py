"""
What must hold of the organisation: paths and ancestor columns, of departments and of everything that belongs
to one.
"""

from django.db.models import Exists, F, OuterRef, Q

from crm.custom_fields import CustomField
from crm.custom_values import CustomValue, subjects
from crm.models import Department, Level, Placed


def differences():
    """This will give a sentence for each thing that is not as it must be."""
    by_id = {department.pk: department for department in Department.objects.all()}
    for department in by_id.values():
        parent = by_id.get(department.parent_id)
        path = f"{parent.path if parent else '/'}{department.pk}/"
        province = department.pk if department.level <= Level.PROVINCE else parent.province_id
        city = department.pk if department.level <= Level.CITY else parent.city_id
        if (department.path, department.province_id, department.city_id) != (path, province, city):
            yield f"department {department.key}: path or ancestors are not those of its place in the tree"
        if parent and department.level <= parent.level:
            yield f"department {department.key}: does not stand below {parent.key}"
    for model in Placed.models():
        elsewhere = model._base_manager.exclude(province=F("department__province"), city=F("department__city"))
        yield from each(elsewhere, "its ancestor columns are not those of its department")
        homeless = model._base_manager.filter(Q(owner__department=None))
        yield from each(homeless, "its owner belongs to no department")
    yield from _added()


def _added():
    """This will compare what records hold of added fields with the fields, and with the records."""
    for field in CustomField.objects.prefetch_related("options"):
        rows = CustomValue.objects.filter(field=field)
        model = subjects().get(field.subject)
        if model is None:
            yield f"custom field {field.key}: there are no such records"
            continue
        there = Exists(model._base_manager.filter(pk=OuterRef("about_id")))  # NOT IN would grow with the square
        yield from each(rows.exclude(there), f"is of no record, and of {field.key}")
        columns = {"text", "long_text", "number", "day", "yes", "choice", "person"}
        wrong = Q(**{f"{field.column}__isnull": True})
        for column in columns - {field.column}:
            wrong |= Q(**{f"{column}__isnull": False})
        yield from each(rows.filter(wrong), f"does not hold what {field.key} holds, {field.kind}")
        if not field.is_several:
            yield from each(rows.filter(position__gt=0), f"is one of several, and {field.key} holds one")
        yield from each(rows.exclude(choice=None).exclude(choice__field=field), f"is no option of {field.key}")
        for row in rows if field.unique else rows.exclude(unique_key=None):
            if row.unique_key != field.unique_key(field.from_rows([row])):
                yield f"customvalue {row.pk}: what none may share is not noted as {field.key} has it"


def each(queryset, sentence):
    """This will give the sentence once for each record of the queryset, by kind and key."""
    name = queryset.model._meta.model_name
    for pk in queryset.order_by("pk").values_list("pk", flat=True).iterator():
        yield f"{name} {pk}: {sentence}"


def differ(one, other):
    """This will give the condition that two columns differ, where one that is empty differs from one that is not."""
    both = Q(**{f"{one}__isnull": False, f"{other}__isnull": False})
    either = Q(**{f"{one}__isnull": True, f"{other}__isnull": False}) | Q(
        **{f"{one}__isnull": False, f"{other}__isnull": True}
    )
    return either | (both & ~Q(**{one: F(other)}))
