from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    initial = True

    operations = [
        ops.CreateModel(
            name="Supplier",
            fields=[
                ("id", fields.IntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("name", fields.CharField(max_length=200)),
                ("surname", fields.CharField(max_length=200)),
                ("address", fields.TextField(unique=False)),
                ("created_by", fields.IntField()),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "suppliers",
                "app": "suppliers",
                "pk_attr": "id",
                "table_description": "A supplier, and who entered it.",
            },
            bases=["Model"],
        ),
    ]
