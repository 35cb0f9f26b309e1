"""An app of work that only tests ask for, so that real workers have something to do."""
