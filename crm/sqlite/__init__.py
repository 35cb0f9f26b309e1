"""SQLite as a database backend of Django: its own, but for how one waits for the lock, and for a function."""
