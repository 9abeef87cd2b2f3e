from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("backups", "0011_verification")]

    operations = [
        migrations.AddIndex(
            "copy", models.Index(fields=["backup", "state", "destination"], name="backups_copies_of_backup")
        ),
    ]
