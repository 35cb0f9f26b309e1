"""
Customers that look alike: what is compared of them, and what says that two may be one.

Compared are keys that fold what people write differently: width and case of letters, traditional forms, punctuation,
and the words that say of which legal form a company is. The keys are stored with the customer, so that a look-up is one
in an index. Only customers that the writer may see are named; no unique constraint gives the others away.
"""

import re
import unicodedata
from functools import cache
from urllib.parse import urlsplit

from django.db.models import Q
from opencc import OpenCC

LOOKED_AT = 200  # candidates, before sight is asked; more than that share no name that says anything
SHOWN = 5
SHORTEST_TYPED = 2  # letters, before a name that is being typed says anything
SHORTEST_PHONE = 7

# The words at the end of a name that say a company's legal form, as the key has them: small, without stops or spaces.
LEGAL = [
    "股份有限公司", "有限责任公司", "有限公司", "集团公司", "公司", "集团",
    "privatelimited", "pteltd", "ptyltd", "coltd", "companylimited", "limited", "ltd", "llc", "llp", "plc", "inc",
    "incorporated", "corporation", "corp", "company", "co", "group", "holdings", "holding",
    "gmbhcokg", "gmbh", "ag", "kg", "sarl", "sas", "sa", "srl", "spa", "bv", "nv", "ab", "oy", "as", "kk",
]  # fmt: skip
_FORMS = sorted(LEGAL, key=len, reverse=True)
_LATIN_FORM = re.compile(r"[a-z]+")


@cache
def _simplifier():
    return OpenCC("t2s")


def name_key(name):
    """
    This will give a name as it is compared: （中国）移動通信集團有限公司 and 中国移动通信 are one. A legal form in
    Latin letters is folded where it stands as words of its own, so that Cosa is not Co; a name that is nothing but a
    legal form stays as it is.
    """
    text = _simplifier().convert(unicodedata.normalize("NFKC", name)).casefold()
    words = re.findall(r"[^\W_]+", text.replace(".", "").replace("&", " "))
    while len(words) > 1 and (taken := _latin_form(words)):
        words = words[:-taken]
    key = "".join(words)
    while stem := next((key.removesuffix(form) for form in _FORMS if not form.isascii() and key.endswith(form)), ""):
        key = stem
    return key[:100]


def _latin_form(words):
    """This will count the last words that together are a legal form of Latin letters; 0 where they are not."""
    for count in (3, 2, 1):
        if len(words) > count and "".join(words[-count:]) in LEGAL and _LATIN_FORM.fullmatch("".join(words[-count:])):
            return count
    return 0


def tax_key(tax_id):
    """This will give a tax id as it is compared: its letters and digits, in capitals."""
    return "".join(re.findall(r"[A-Z0-9]", unicodedata.normalize("NFKC", tax_id).upper()))[:40]


def phone_key(phone):
    """This will give a phone number as it is compared: its digits, without the country's code and leading zeros."""
    digits = "".join(re.findall(r"\d", unicodedata.normalize("NFKC", phone))).lstrip("0")
    digits = digits.removeprefix("86").lstrip("0") if len(digits) > 11 or digits.startswith("861") else digits
    return digits[:20] if len(digits) >= SHORTEST_PHONE else ""


def domain_key(website):
    """This will give the host of an address, without www."""
    host = (urlsplit(website if "//" in website else f"//{website}").hostname or "") if website else ""
    return host.removeprefix("www.")[:100]


KEYS = {
    "match_name": ("name", name_key),
    "match_tax_id": ("tax_id", tax_key),
    "match_phone": ("phone", phone_key),
    "match_domain": ("website", domain_key),
}


def keys_of(customer):
    """This will give {column: key} of what is compared of a customer."""
    return {column: key(getattr(customer, name)) for column, (name, key) in KEYS.items()}


def similar(customers, keys, *, besides=None):
    """
    This will list those of `customers`, a queryset of what somebody may see, that share one of `keys`; in each, as
    `alike`, the names of the fields that are alike. `besides` is the customer itself.
    """
    wanted = {column: key for column, key in keys.items() if key}
    if not wanted:
        return []
    condition = Q()
    for column, key in wanted.items():
        condition |= Q(**{column: key})
    # The keys first, by their indexes; then, of those few, whether they are seen.
    candidates = customers.model.objects.filter(condition).exclude(pk=besides).order_by().values_list("pk", flat=True)
    return _seen(customers, list(candidates[:LOOKED_AT]), wanted)


def begun(customers, typed):
    """This will list those of `customers` whose name begins like the one that is being typed."""
    key = name_key(typed)
    if len(key) < SHORTEST_TYPED:
        return []
    candidates = customers.model.objects.filter(match_name__startswith=key).order_by().values_list("pk", flat=True)
    return _seen(customers, list(candidates[:LOOKED_AT]), {"match_name": key})


def _seen(customers, candidates, wanted):
    if not candidates:
        return []
    found = list(customers.filter(pk__in=candidates).select_related("owner", "department").in_order()[:SHOWN])
    for customer in found:
        customer.alike = [KEYS[column][0] for column, key in wanted.items() if getattr(customer, column) == key]
    return found
