import pytest

from polyroute.errors import Rejected, Remedy
from polyroute.providers.transport.bounds import field_lines, objection


@pytest.mark.parametrize("status", [200, 201, 204, 299, 400, 401, 429, 500, 599])
def test_answers_and_errors_are_read(status: int) -> None:
    assert objection(status, "") is None
    assert objection(status, " Identity ") is None


@pytest.mark.parametrize(
    ("status", "encoding"), [(101, ""), (300, ""), (304, ""), (308, ""), (200, "zstd"), (500, "br")]
)
def test_redirects_upgrades_and_compression_are_refused(status: int, encoding: str) -> None:
    error = objection(status, encoding)
    assert error is not None
    assert error.remedy is Remedy.SWITCH
    assert error.http_status == (None if status == 200 else status)  # an answer of 200 is billed, read or not


def test_fields_are_sent_one_to_a_line() -> None:
    assert field_lines({"a": "b", "c": "d é"}) == "a: b\r\nc: d é\r\n".encode("latin-1")
    assert field_lines({}) == b""


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\rb", "a\0b", "☃"])
def test_a_value_cannot_leave_its_line(value: str) -> None:
    with pytest.raises(Rejected):
        field_lines({"x": value})
