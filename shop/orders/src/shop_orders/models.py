"""The tables: orders, and the users who do not exist any more."""

from tortoise import fields
from tortoise.models import Model


class Order(Model):
    """An order. ``version`` counts changes; ``key`` and ``digest`` are of the creating request."""

    id = fields.IntField(primary_key=True)
    address = fields.TextField()
    item = fields.CharField(max_length=200)
    supplier_id = fields.IntField(null=True)
    status = fields.CharField(max_length=20, default="placed")
    created_by = fields.IntField(db_index=True)
    created_at = fields.DatetimeField(auto_now_add=True)
    version = fields.IntField(default=1, db_default=1)
    key = fields.CharField(max_length=255, null=True)
    digest = fields.CharField(max_length=64, null=True)

    class Meta(Model.Meta):
        """Names the table; NULL keys never clash."""

        table = "orders"
        unique_together = (("created_by", "key"),)


class DeletedUser(Model):
    """A user whose account is deleted. The row stays: a token may last longer than its account, and no id is used again."""

    id = fields.IntField(primary_key=True, generated=False)

    class Meta(Model.Meta):
        """Names the table."""

        table = "deleted_users"
