from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    initial = True

    operations = [
        ops.CreateModel(
            name="AccountRow",
            fields=[
                ("id", fields.IntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("username", fields.CharField(max_length=50)),
                ("username_key", fields.CharField(unique=True, max_length=450)),
                ("email", fields.CharField(null=True, max_length=254)),
                ("email_key", fields.CharField(null=True, unique=True, max_length=254)),
                ("full_name", fields.CharField(null=True, max_length=200)),
                ("user_type", fields.CharField(max_length=20)),
                ("hashed_password", fields.CharField(max_length=255)),
                ("created_by", fields.IntField()),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "users",
                "app": "accounts",
                "pk_attr": "id",
                "table_description": "A row. The keys are the folded username and email, on which the database itself holds uniqueness.",
            },
            bases=["Model"],
        ),
    ]
