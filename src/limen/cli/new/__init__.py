"""``limen new``: makes a service or a whole project from templates, and names it wherever the project has to know of it."""
