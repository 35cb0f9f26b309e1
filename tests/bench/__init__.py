"""
How fast Pursuit is, beside a bare Django application on the same machine, in the same minute: `make bench`.

A time says more about a machine than about a program, so what counts is the ratio: each page is asked for in turn with
the reference view of `reference`, and the medians are compared.
"""
