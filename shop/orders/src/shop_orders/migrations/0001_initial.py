from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    initial = True

    operations = [
        ops.CreateModel(
            name="Order",
            fields=[
                ("id", fields.IntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("address", fields.TextField(unique=False)),
                ("item", fields.CharField(max_length=200)),
                ("status", fields.CharField(default="placed", max_length=20)),
                ("created_by", fields.IntField(db_index=True)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("key", fields.CharField(null=True, max_length=255)),
                ("digest", fields.CharField(null=True, max_length=64)),
            ],
            options={
                "table": "orders",
                "app": "orders",
                "unique_together": (("created_by", "key"),),
                "pk_attr": "id",
                "table_description": "An order. ``key`` and ``digest`` belong to the request that created it, for when it comes again.",
            },
            bases=["Model"],
        ),
    ]
