from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("backups", "0010_copies")]

    operations = [
        migrations.AddField("copy", "tried_at", models.DateTimeField(editable=False, null=True)),
        migrations.AddField("destination", "unread_since", models.DateTimeField(editable=False, null=True)),
        migrations.AddIndex(
            "copy",
            models.Index(
                condition=models.Q(("state", "stored"), models.Q(("readback", "checksum"), _negated=True)),
                fields=["destination", "verified_at"],
                name="backups_copies_unread",
            ),
        ),
    ]
