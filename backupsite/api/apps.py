from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "backupsite.api"
    label = "api"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from backupsite.api import schema, sweeping  # noqa: F401  the import registers the schema's extension

        sweeping.register()
