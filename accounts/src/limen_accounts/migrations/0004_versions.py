from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_events")]

    initial = False

    operations = [
        ops.AddField(
            model_name="AccountRow",
            name="version",
            field=fields.IntField(default=1, db_default=1),
        ),
    ]
