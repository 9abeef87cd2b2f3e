"""Indexes for what lists of Databases ask: the newest backup of each, its newest good and proven ones."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("backups", "0001_initial"),
        ("databases", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name="backup",
            index=models.Index(fields=["database", "-created_at", "-id"], name="backups_newest_of_database"),
        ),
        migrations.AddIndex(
            model_name="backup",
            index=models.Index(fields=["database", "status", "-finished_at"], name="backups_good_of_database"),
        ),
        migrations.AddIndex(
            model_name="backup",
            index=models.Index(
                condition=models.Q(("proven_at__isnull", False)),
                fields=["database", "-proven_at"],
                name="backups_proven_of_database",
            ),
        ),
    ]
