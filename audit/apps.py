from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "audit"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from audit.services.purge import purge_entries
        from audit.services.watch import watch
        from jobs.registry import register_sweep_step

        watch()
        register_sweep_step("audit", purge_entries)
