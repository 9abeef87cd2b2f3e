from django.apps import AppConfig


class DatabasesConfig(AppConfig):
    name = "databases"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from databases import wiring

        wiring.register()
