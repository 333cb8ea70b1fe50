from tortoise import fields, migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.constraints import UniqueConstraint


class Migration(migrations.Migration):
    dependencies = [("suppliers", "0001_initial")]

    initial = False

    operations = [
        ops.AlterModelOptions(
            name="Supplier",
            options={
                "table": "suppliers",
                "app": "suppliers",
                "unique_together": (("created_by", "key"),),
                "pk_attr": "id",
                "table_description": "A supplier, and who entered it. ``version`` counts changes; ``key`` and ``digest`` are of the creating request.",
            },
        ),
        ops.AddField(
            model_name="Supplier",
            name="digest",
            field=fields.CharField(null=True, max_length=64),
        ),
        ops.AddField(
            model_name="Supplier",
            name="key",
            field=fields.CharField(null=True, max_length=255),
        ),
        ops.AddField(
            model_name="Supplier",
            name="version",
            field=fields.IntField(default=1, db_default=1),
        ),
        ops.AddConstraint(
            model_name="Supplier",
            constraint=UniqueConstraint(fields=("created_by", "key"), name=None),
        ),
    ]
