from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("orders", "0001_initial")]

    initial = False

    operations = [
        ops.CreateModel(
            name="DeletedUser",
            fields=[
                ("id", fields.IntField(primary_key=True, generated=False, unique=True, db_index=True)),
            ],
            options={
                "table": "deleted_users",
                "app": "orders",
                "pk_attr": "id",
                "table_description": "A user whose account is deleted. The row stays: a token may last longer than its account, and no id is used again.",
            },
            bases=["Model"],
        ),
        ops.AlterModelOptions(
            name="Order",
            options={
                "table": "orders",
                "app": "orders",
                "unique_together": (("created_by", "key"),),
                "pk_attr": "id",
                "table_description": "An order. ``version`` counts changes; ``key`` and ``digest`` are of the creating request.",
            },
        ),
        ops.AddField(
            model_name="Order",
            name="supplier_id",
            field=fields.IntField(null=True),
        ),
        ops.AddField(
            model_name="Order",
            name="version",
            field=fields.IntField(default=1, db_default=1),
        ),
    ]
