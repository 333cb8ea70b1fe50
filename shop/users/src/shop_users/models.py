"""The table of accounts."""

from tortoise import fields
from tortoise.models import Model


class User(Model):
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

    class Meta(Model.Meta):
        """Names the table."""

        table = "users"
