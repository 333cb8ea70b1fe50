"""What of FastAPI works on a gateway: one row for every parameter that FastAPI has, and the tables of docs/fastapi.md.

- ``row``: what a row says
- ``application``, ``routes``, ``parameters``, ``methods``: the rows
- ``page``: the places, what FastAPI itself has there, and the page

tests/deploy/test_fastapi_face.py holds the rows against FastAPI's signatures and against the tests that they name: a new
parameter of a new FastAPI needs a row.
"""
