import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("backups", "0009_proof_and_reach")]

    operations = [
        migrations.AddField("backup", "copies_begun", models.PositiveIntegerField(default=0, editable=False)),
        migrations.AddField(
            "databasedestination",
            "named_at",
            models.DateTimeField(default=django.utils.timezone.now, editable=False),
        ),
        migrations.AddField("databasedestination", "looked_at", models.DateTimeField(editable=False, null=True)),
        migrations.AddField("databasedestination", "lacking", models.PositiveIntegerField(default=0, editable=False)),
        migrations.AddField("databasedestination", "lacking_since", models.DateTimeField(editable=False, null=True)),
        migrations.AddField("databasedestination", "told_at", models.DateTimeField(editable=False, null=True)),
        migrations.AddIndex(
            "copyjob", models.Index(fields=["status", "destination"], name="backups_copy_jobs_of_place")
        ),
    ]
