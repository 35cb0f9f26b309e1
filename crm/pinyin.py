"""Sort keys for names in Latin and Chinese letters."""

from functools import lru_cache

from pypinyin import lazy_pinyin

LENGTH = 40


@lru_cache(20_000)  # to spell a name takes longer than to read it from the database
def sort_key(name):
    """
    This will give the key that sorts `name` as its readers expect, Chinese by pinyin: at most 40 lower-case
    characters.
    """
    return "".join(lazy_pinyin(name)).casefold()[:LENGTH]
