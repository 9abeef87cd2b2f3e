"""What the pages say of schedules and codes to a reader of another language."""

import pytest
from django.utils import translation

from databases.admin.options import option_field
from databases.admin.sentences import told
from databases.engines import registry
from databases.engines.option_fields import fields_of
from jobs.templatetags.backupsite import words


@pytest.mark.parametrize(
    ("cron", "sentence"),
    [
        ("30 3 * * *", "A las 03:30, todos los días"),
        ("@weekly", "A las 00:00, cada domingo"),
        ("5 4 * * 7", "A las 04:05, cada domingo"),
        ("15 4,16 * * sun,thu,mon", "A las 04:15 y 16:15, cada lunes, jueves y domingo"),
        ("30 2 * * 1-5", "A las 02:30, de lunes a viernes"),
        ("0 22 L * *", "A las 22:00, el último día del mes"),
        ("0 3 1 * *", "A las 03:00, el día 1 del mes"),
        ("0 3 1,15 * *", "A las 03:00, los días 1 y 15 del mes"),
        ("* * * * *", "Cada minuto, todos los días"),
        ("20 * * * *", "Cada hora, en el minuto 20, todos los días"),
        ("*/15 * * * *", "Cada 15 minutos, todos los días"),
        ("10 1-23/2 * * *", "Cada 2 horas desde las 01:10, todos los días"),
        # Too much for a word or two, or more than one way to read it.
        ("0 3 1,15 * 1", "Según 0 3 1,15 * 1"),
        ("0 3 * 6 *", "Según 0 3 * 6 *"),
        ("7 3 LW * *", "Según 7 3 LW * *"),
        ("0 3 * * 1#2", "Según 0 3 * * 1#2"),
        ("0 8-23 * * *", "Según 0 8-23 * * *"),
        ("1,2,4,8,16,32,50 * * * *", "Según 1,2,4,8,16,32,50 * * * *"),
        (["0 3 * * *", "0 15 * * 6"], "A las 03:00, todos los días; A las 15:00, cada sábado"),
        (None, ""),
    ],
)
def test_a_schedule_is_told_in_spanish(cron: object, sentence: str) -> None:
    with translation.override("es"):
        assert told(cron) == sentence


def test_in_english_it_is_told_as_the_api_does() -> None:
    with translation.override("en"):
        assert told("30 2 * * 1-5") == "At 02:30 on Monday through Friday"


def test_an_option_and_a_code_are_told_in_spanish() -> None:
    option = next(one for one in fields_of(registry.engine_class("postgres").Options) if one.name == "exclude_tables")
    with translation.override("es"):
        field = option_field(option, is_set=False)
        assert (str(field.label), field.help_text) == ("Excluir tablas", "Estas tablas no.")
        assert words("row_hash") == "hash de las filas"
        assert words("of_tomorrow") == "of tomorrow"
        assert words("") == ""
