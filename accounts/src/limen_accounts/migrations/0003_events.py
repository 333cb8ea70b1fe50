import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_sessions_and_keys")]

    initial = False

    operations = [
        ops.CreateModel(
            name="EventRow",
            fields=[
                ("number", fields.IntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("id", fields.CharField(unique=True, max_length=32)),
                ("type", fields.CharField(max_length=100)),
                ("data", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "account_events",
                "app": "accounts",
                "pk_attr": "number",
                "table_description": "An event that is not delivered yet, in the order of its number.",
            },
            bases=["Model"],
        ),
    ]
