"""How names in Chinese letters are spelled: what sorts them, and by what they are found."""

from functools import lru_cache

LENGTH = 40


@lru_cache(20_000)  # to spell a name takes longer than to read it from the database
def syllables(name):
    """This will give the syllables of a name; what is not Chinese in it stays in one piece."""
    from pypinyin import lazy_pinyin  # here, for its dictionaries take 50 MB, which not each command needs

    return tuple(lazy_pinyin(name))


def sort_key(name):
    """
    This will give the key that sorts `name` as its readers expect, Chinese by pinyin: at most 40 lower-case
    characters.
    """
    return "".join(syllables(name)).casefold()[:LENGTH]


def spell(name):
    """
    This will give a name as one types it in Latin letters, without spaces: (its pinyin, the first letters of that), or
    "" twice where it has nothing Chinese. 5G专网 is 5gzhuanwang and 5gzw.
    """
    whole, first, at = [], [], 0
    for syllable in syllables(name):
        chinese = not name.startswith(syllable, at)
        whole.append(syllable)
        first.append(syllable[:1] if chinese else syllable)
        at += 1 if chinese else len(syllable)
    if whole == first:
        return "", ""
    return tuple("".join("".join(parts).casefold().split()) for parts in (whole, first))
