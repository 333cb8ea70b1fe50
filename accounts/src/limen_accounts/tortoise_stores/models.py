"""The tables of accounts, of what ends with them, and of what is to be told of them. Tortoise's app is ``accounts``."""

from typing import Any

from tortoise import fields
from tortoise.models import Model


class AccountRow(Model):
    """A row. The keys are the folded username and email, on which the database itself holds uniqueness."""

    id = fields.IntField(primary_key=True)
    username = fields.CharField(max_length=50)
    username_key = fields.CharField(max_length=450, unique=True)
    email = fields.CharField(max_length=254, null=True)
    email_key = fields.CharField(max_length=254, null=True, unique=True)
    full_name = fields.CharField(max_length=200, null=True)
    user_type = fields.CharField(max_length=20)
    hashed_password = fields.CharField(max_length=255)
    created_by = fields.IntField()
    created_at = fields.DatetimeField(auto_now_add=True)
    version = fields.IntField(default=1, db_default=1)
    locked_at = fields.DatetimeField(null=True)

    class Meta(Model.Meta):
        """Names the table."""

        table = "users"


class SessionRow(Model):
    """A session: the digest of its current refresh token, and of the one before while that may serve once more."""

    id = fields.CharField(max_length=22, primary_key=True)
    account: fields.ForeignKeyRelation[AccountRow] = fields.ForeignKeyField(
        "accounts.AccountRow", related_name="sessions", db_index=True
    )
    account_id: int
    digest = fields.CharField(max_length=64)
    digest_before = fields.CharField(max_length=64, null=True)
    user_agent = fields.CharField(max_length=200)
    address = fields.CharField(max_length=64)
    created_at = fields.DatetimeField()
    last_used_at = fields.DatetimeField()
    expires_at = fields.DatetimeField(db_index=True)

    class Meta(Model.Meta):
        """Names the table."""

        table = "sessions"


class ApiKeyRow(Model):
    """An API key: the digest of it, and its scopes with a space between them."""

    id = fields.IntField(primary_key=True)
    owner: fields.ForeignKeyRelation[AccountRow] = fields.ForeignKeyField(
        "accounts.AccountRow", related_name="keys", db_index=True
    )
    owner_id: int
    name = fields.CharField(max_length=200)
    scopes = fields.TextField()
    digest = fields.CharField(max_length=64)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField(null=True)
    last_used_at = fields.DatetimeField(null=True)

    class Meta(Model.Meta):
        """Names the table."""

        table = "api_keys"


class EventRow(Model):
    """An event that is not delivered yet, in the order of its number."""

    number = fields.IntField(primary_key=True)
    id = fields.CharField(max_length=32, unique=True)
    type = fields.CharField(max_length=100)
    data: fields.JSONField[dict[str, Any]] = fields.JSONField()
    created_at = fields.DatetimeField()

    class Meta(Model.Meta):
        """Names the table."""

        table = "account_events"
