"""The table of suppliers."""

from tortoise import fields
from tortoise.models import Model


class Supplier(Model):
    """A supplier, and who entered it."""

    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=200)
    surname = fields.CharField(max_length=200)
    address = fields.TextField()
    created_by = fields.IntField()
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta(Model.Meta):
        """Names the table."""

        table = "suppliers"
