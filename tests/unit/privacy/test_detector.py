"""What is personal data and what only looks like it, kind by kind."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.privacy.detector import Detector
from polyroute.privacy.phones import Phones
from polyroute.types.privacy import KINDS, PiiKind

DETECTOR = Detector(Phones(("US", "GB", "DE")))
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----"
TRUE: list[tuple[PiiKind, str, str]] = [  # kind, text, what is found in it
    ("email", "mail ann@example.com. Thanks", "ann@example.com"),
    ("email", "<bob.o'neil+x@mail.co.uk>", "bob.o'neil+x@mail.co.uk"),
    ("email", "schreib an jörg@bücher.example", "jörg@bücher.example"),
    ("email", "(a@xn--bcher-kva.example)", "a@xn--bcher-kva.example"),
    ("card", "card 4111 1111 1111 1111 12/27", "4111 1111 1111 1111"),
    ("card", "378282246310005", "378282246310005"),
    ("card", "5555-5555-5555-4444", "5555-5555-5555-4444"),
    ("card", "order 77 4242424242424242", "4242424242424242"),
    ("iban", "IBAN DE89 3704 0044 0532 0130 00 please", "DE89 3704 0044 0532 0130 00"),
    ("iban", "gb82west12345698765432", "gb82west12345698765432"),
    ("phone", "call +49 30 901820 now", "+49 30 901820"),
    ("phone", "or 212-736-5000", "212-736-5000"),
    ("phone", "tel: 2127365000", "2127365000"),
    ("ip", "from 8.8.8.8 today", "8.8.8.8"),
    ("ip", "host 2001:db8::1, up", "2001:db8::1"),
    ("national_id", "ssn 123-45-6789", "123-45-6789"),
    ("national_id", "SSN: 123456789", "123456789"),
    ("national_id", "NINO AB123456C", "AB123456C"),
    ("national_id", "1 85 05 78 006 084 91", "1 85 05 78 006 084 91"),
    ("national_id", "DNI 12345678Z", "12345678Z"),
    ("national_id", "RSSMRA85T10A562S", "RSSMRA85T10A562S"),
    ("national_id", "AHV 756.9217.0769.85", "756.9217.0769.85"),
    ("national_id", "CPF 529.982.247-25", "529.982.247-25"),
    ("national_id", "811218-9876", "811218-9876"),
    ("national_id", "Steuer-ID 86095742719", "86095742719"),
    ("national_id", "BSN 111222333", "111222333"),
    ("national_id", "PESEL 44051401359", "44051401359"),
    ("national_id", "SIN 130 692 544", "130 692 544"),
    ("passport", "Passport No: C01X00T47", "C01X00T47"),
    ("passport", "Reisepassnummer C01X00T47", "C01X00T47"),
    ("secret", "key sk-proj-abcdefghijklmnopqrstuv", "sk-proj-abcdefghijklmnopqrstuv"),
    ("secret", "AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    ("secret", f"use {PEM} here", PEM),
    ("secret", 'api_key = "a1b2c3d4e5f6"', "a1b2c3d4e5f6"),
]
NEAR: list[tuple[PiiKind, str]] = [
    ("email", "user@localhost, @decorator, logo@2x.png, a @ b.com"),
    ("card", "4111 1111 1111 1112"),
    ("card", "x4111111111111111 and 1.4111111111111111"),
    ("card", "1234567890123452"),
    ("iban", "DE88370400440532013000"),
    ("iban", "XX89370400440532013000"),
    ("phone", "order 2127365000 of 2024-01-15 12:00"),
    ("phone", "555-0123, 1,234.56, 12345678"),
    ("ip", "v1.2.3.4, 1.2.3.4.5, 300.1.1.1, 127.0.0.1, 0.0.0.0"),
    ("ip", "12:30:45, std::vector, a::b, 00:1A:2B:3C:4D:5E, ::1"),
    ("national_id", "000-12-3456, 666-12-3456, 912-34-5678, 123-00-6789, 123-45-0000, 078-05-1120"),
    ("national_id", "QQ123456C, 12345678A, 756.9217.0769.84, 529.982.247-24, 811218-9875"),
    ("national_id", "111222333, 86095742719, 44051401359, 130 692 544"),
    ("passport", "passport renewed in 2020; C01X00T47"),
    ("secret", "sk-short, AKIAshort, password: ********, the secret key is under the mat"),
    ("secret", "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----"),
]


@pytest.mark.parametrize(("kind", "text", "value"), TRUE)
def test_a_true_value_is_found_with_its_span(kind: PiiKind, text: str, value: str) -> None:
    (found,) = [f for f in DETECTOR.find(text) if f.kind == kind]
    assert text[found.start : found.end] == value
    assert 0.5 <= found.confidence <= 1


@pytest.mark.parametrize(("kind", "text"), NEAR)
def test_a_near_miss_is_none(kind: PiiKind, text: str) -> None:
    assert [text[f.start : f.end] for f in DETECTOR.find(text) if f.kind == kind] == []


def test_only_the_kinds_asked_for_are_found() -> None:
    wanted: tuple[PiiKind, ...] = ("ip",)
    assert [f.kind for f in DETECTOR.find("ann@example.com 8.8.8.8", wanted)] == list(wanted)


def test_telephone_numbers_need_their_library() -> None:
    assert Detector().find("call +49 30 901820") == ()
    with pytest.raises(ValueError, match="`XY` is no region"):
        Phones(("XY",))


def test_half_a_surrogate_pair_moves_no_span() -> None:
    text = "\ud800 é ann@example.com"
    (found,) = DETECTOR.find(text)
    assert text[found.start : found.end] == "ann@example.com"


@given(st.text(alphabet=st.sampled_from("a1@. -:+[]49é\nsk"), max_size=200))
def test_findings_are_in_order_and_apart(text: str) -> None:
    found = DETECTOR.find(text)
    assert all(one.end <= other.start for one, other in pairwise(found))
    assert all(0 <= f.start < f.end <= len(text) and f.kind in KINDS for f in found)
