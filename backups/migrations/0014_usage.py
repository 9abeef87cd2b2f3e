import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("backups", "0013_anomalies"),
    ]

    operations = [
        migrations.AddField(
            model_name="destination",
            name="free_bytes",
            field=models.BigIntegerField(editable=False, null=True),
        ),
        migrations.CreateModel(
            name="Usage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("stored_bytes", models.BigIntegerField()),
                ("copies", models.PositiveIntegerField()),
                ("counted_at", models.DateTimeField()),
                (
                    "destination",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="usage", to="backups.destination"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "usage",
                "ordering": ["day"],
                "constraints": [
                    models.UniqueConstraint(fields=("destination", "day"), name="backups_usage_once_a_day")
                ],
            },
        ),
    ]
