"""
Somebody who saves without end, while something else goes on: a process of its own, which writes how long each took.
`tests.bench.importing` begins it, quiet and during an import.
"""

import sys
import time
from pathlib import Path

import django

django.setup()

from django.test import Client
from django.test.utils import setup_test_environment

from crm.models import User
from customers.models import Customer


def main(username, stop, kept):
    """This will change a customer through its page until the file `stop` is there; `kept` gets seconds, one a line."""
    user = User.objects.get(username=username)
    client = Client()
    client.force_login(user)
    customer = Customer.objects.filter(owner=user).order_by("id").first()
    took, number = [], 0
    while not stop.exists():
        number += 1
        form = client.get(f"/customers/{customer.pk}/edit/").context["form"]
        data = {name: form.get_initial_for_field(field, name) or "" for name, field in form.fields.items()}
        data |= {"address": f"Street {number}", "seen": Customer.objects.get(pk=customer.pk).version}
        began = time.perf_counter()
        answer = client.post(f"/customers/{customer.pk}/edit/", data)
        took.append(time.perf_counter() - began)
        assert answer.status_code == 302, answer.status_code
        time.sleep(0.03)
    assert Customer.objects.get(pk=customer.pk).address == f"Street {number}"
    kept.write_text("\n".join(map(str, took)))


if __name__ == "__main__":
    setup_test_environment()
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
