"""
What must hold of the organisation: paths and ancestor columns, of departments and of everything that belongs
to one.
"""

from django.db.models import F, Q

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
