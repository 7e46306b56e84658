"""Check digits of cards, accounts and national numbers. Each function takes digits (or letters) without separators."""

from collections.abc import Sequence

_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"  # Orden INT/2058/2008
_CF_ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (
            *(1, 0, 5, 7, 9, 13, 15, 17, 19, 21),
            *(1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
        ),
        strict=True,
    )
)  # Decreto ministeriale 23 dicembre 1976


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for at, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + at % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def mod97(account: str) -> bool:
    """ISO 13616: an IBAN in capitals, its first four characters moved to the end, letters as 10 to 35."""
    return int("".join(str(int(character, 36)) for character in account[4:] + account[:4])) % 97 == 1


def weighted(digits: str, weights: Sequence[int], modulus: int) -> int:
    """The sum of each digit times its weight, modulo `modulus`."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False)) % modulus


def french_nir(number: str) -> bool:
    """15 characters; Corsica's 2A and 2B count as 19 and 18."""
    body = number[:13].replace("2A", "19").replace("2B", "18")
    return body.isdecimal() and number[13:].isdecimal() and 97 - int(body) % 97 == int(number[13:])


def spanish_dni(number: str) -> bool:
    """Eight digits and a letter; a foreigner's begins with X, Y or Z."""
    body = number[:-1].translate(str.maketrans("XYZ", "012"))
    return body.isdecimal() and _DNI_LETTERS[int(body) % 23] == number[-1]


def italian_cf(code: str) -> bool:
    """Sixteen letters and digits, the last a check letter over odd and even places."""
    total = sum(
        _CF_ODD[c] if at % 2 == 0 else int(c, 36) - (10 if c.isalpha() else 0) for at, c in enumerate(code[:15])
    )
    return chr(ord("A") + total % 26) == code[15]


def german_tax_id(digits: str) -> bool:
    """Eleven digits: ISO/IEC 7064, MOD 11,10; one digit of the first ten stands twice or thrice."""
    product = 10
    for digit in digits[:10]:
        product = (int(digit) + product) % 10 or 10
        product = product * 2 % 11
    most = max(digits[:10].count(digit) for digit in set(digits[:10]))
    return digits[0] != "0" and most in (2, 3) and (11 - product) % 10 == int(digits[10])


def dutch_bsn(digits: str) -> bool:
    """Nine digits, the elevens test with -1 as the last weight."""
    return weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1), 11) == 0 and int(digits) > 0


def polish_pesel(digits: str) -> bool:
    return weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), 10) == 0 and _is_day(digits[4:6])


def swiss_ahv(digits: str) -> bool:
    """Thirteen digits from 756: EAN-13."""
    return weighted(digits, (1, 3) * 6 + (1,), 10) == 0


def brazilian_cpf(digits: str) -> bool:
    if len(set(digits)) == 1:
        return False
    first = weighted(digits[:9], range(10, 1, -1), 11)
    second = weighted(digits[:10], range(11, 1, -1), 11)
    checks = (0 if first < 2 else 11 - first, 0 if second < 2 else 11 - second)
    return checks == (int(digits[9]), int(digits[10]))


def swedish_personal(digits: str) -> bool:
    """Ten digits, YYMMDDNNNC; a co-ordination number's day is 60 more."""
    return luhn(digits) and 1 <= int(digits[2:4]) <= 12 and 1 <= int(digits[4:6]) % 60 <= 31


def us_ssn(digits: str) -> bool:
    """No check digit: what was never issued is none (SSA, since June 2011)."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return (
        area not in ("000", "666")
        and area[0] != "9"
        and group != "00"
        and serial != "0000"
        and (
            digits not in ("078051120", "219099999")  # printed in advertisements
        )
    )


def _is_day(digits: str) -> bool:
    return 1 <= int(digits) <= 31
