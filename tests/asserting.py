"""What many tests assert: that nothing was changed, and that what one may not see looks like nothing."""

import re
from contextlib import contextmanager

from django.apps import apps

BUSINESS = {"customers", "opportunities", "approvals", "notices"}


def everything():
    """This will give every row of every business table."""
    models = [
        model
        for model in apps.get_models()
        if model._meta.app_label in BUSINESS or model.__name__ in ("Once", "CustomValue")
    ]
    return {model._meta.label: list(model._base_manager.order_by("pk").values()) for model in models}


@contextmanager
def unchanged():
    """This will fail where a row was added, changed or deleted within."""
    before = everything()
    yield
    after = everything()
    assert {label: rows for label, rows in after.items() if rows != before[label]} == {}


def not_there(client, address, method="get"):
    """This will tell whether the answer at `address`, with a key in it, is that of a key which never existed."""
    never = re.sub(r"\d+", "987654321", address, count=1)
    answer, nothing = getattr(client, method)(address), getattr(client, method)(never)
    texts = [
        re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page.content.decode()).replace(path, "")
        for page, path in ((answer, address), (nothing, never))
    ]
    return answer.status_code == nothing.status_code == 404 and texts[0] == texts[1]
