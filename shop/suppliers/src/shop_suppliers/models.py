"""The table of suppliers."""

from tortoise import fields
from tortoise.models import Model


class Supplier(Model):
    """A supplier, and who entered it. ``version`` counts changes; ``key`` and ``digest`` are of the creating request."""

    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=200)
    surname = fields.CharField(max_length=200)
    address = fields.TextField()
    created_by = fields.IntField()
    created_at = fields.DatetimeField(auto_now_add=True)
    version = fields.IntField(default=1, db_default=1)
    key = fields.CharField(max_length=255, null=True)
    digest = fields.CharField(max_length=64, null=True)

    class Meta(Model.Meta):
        """Names the table; NULL keys never clash."""

        table = "suppliers"
        unique_together = (("created_by", "key"),)
