"""Why a file that somebody brought cannot be read."""


class Problem(Exception):
    """A word, one of crm.importing.PROBLEMS, and the facts that its sentence names."""

    def __init__(self, word, **facts):
        super().__init__(word)
        self.found = {"problem": word} | facts
