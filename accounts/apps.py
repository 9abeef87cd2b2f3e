from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts.services.sessions import follow_logins, forget_ended_sessions
        from jobs.registry import register_sweep_step

        follow_logins()
        register_sweep_step("sessions", forget_ended_sessions)
