"""The table of orders."""

from tortoise import fields
from tortoise.models import Model


class Order(Model):
    """An order. ``key`` and ``digest`` belong to the request that created it, for when it comes again."""

    id = fields.IntField(primary_key=True)
    address = fields.TextField()
    item = fields.CharField(max_length=200)
    status = fields.CharField(max_length=20, default="placed")
    created_by = fields.IntField(db_index=True)
    created_at = fields.DatetimeField(auto_now_add=True)
    key = fields.CharField(max_length=255, null=True)
    digest = fields.CharField(max_length=64, null=True)

    class Meta(Model.Meta):
        """Names the table; NULL keys never clash."""

        table = "orders"
        unique_together = (("created_by", "key"),)
