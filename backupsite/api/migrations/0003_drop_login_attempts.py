from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("api", "0002_roles_and_login_attempts"),
    ]

    operations = [
        migrations.DeleteModel(
            name="LoginAttempt",
        ),
    ]
