import orjson
import pytest
from bench.timing import Timed
from bench.wire import _as_door, _pictures, _question, _row

from polyroute.ports import Dialect
from polyroute.wiring.dialects import ANTHROPIC_MESSAGES, DIALECTS, OPENAI_CHAT

CHATS = [d for name, d in DIALECTS.items() if d.operation == "chat" and name == d.name]


def timings(request_ns: float, chunk_ns: float) -> dict[str, Timed]:
    figures = {"request": request_ns, "answer": 10_000.0, "chunk": chunk_ns, "megabyte": 4e6}
    return {name: Timed(name=name, calls=1, rounds_ns=[ns] * 3) for name, ns in figures.items()}


@pytest.mark.parametrize(
    ("request_ns", "chunk_ns", "said"),
    [(20_000, 5_000, "met"), (145_000, 5_000, "not met; met; met"), (20_000, 11_000, "met; not met; met")],
)
def test_request_and_answer_share_one_goal(request_ns: float, chunk_ns: float, said: str) -> None:
    row = _row(OPENAI_CHAT, ANTHROPIC_MESSAGES, timings(request_ns, chunk_ns))
    assert (row[0], row[1], row[-1]) == ("openai_chat", "anthropic_messages", said)


@pytest.mark.parametrize("door", [d for d in CHATS if not d.obstacles(_pictures())], ids=lambda d: str(d.name))
def test_a_door_is_asked_the_whole_question_in_its_own_words(door: Dialect) -> None:
    small, large = _as_door(door, _question()), _as_door(door, _pictures())
    assert door.parse_request(orjson.loads(small), {}).last_user_text == _question().last_user_text
    assert 900 < len(small) < 2_000
    assert 900_000 < len(large) < 1_100_000
