"""The public document (OpenAPI) of a gateway: what it adds to FastAPI's."""
