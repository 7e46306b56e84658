from collections import Counter

from polyroute.cli.demo.traffic import ROUTES, Prompt, Said, is_good, prompts, send_all


def test_the_prompts_are_300_different_ones_in_a_mix_of_70_20_10() -> None:
    found = prompts()
    assert len({prompt.prompt for prompt in found}) == len(found) == 300
    assert Counter(prompt.difficulty for prompt in found) == {"simple": 210, "moderate": 60, "complex": 30}


def test_a_few_prompts_have_the_same_mix() -> None:
    assert Counter(prompt.difficulty for prompt in prompts(10)) == {"simple": 7, "moderate": 2, "complex": 1}


def test_good_and_poor_answers_are_told_apart_by_their_text() -> None:
    assert is_good("This is a simulated answer of demo-small. No model was called.")
    assert not is_good("This is a poor simulated answer of demo-small.")


class Recorder:
    def __init__(self) -> None:
        self.orders: list[tuple[str, str]] = []

    async def send(self, route: str, prompt: Prompt) -> Said:
        self.orders.append((route, prompt.prompt))
        return Said(request_id=str(len(self.orders)), text="This is a simulated answer of x.")

    async def aclose(self) -> None:
        """Nothing is held."""


async def test_every_prompt_goes_through_every_route_once() -> None:
    sender, wanted, told = Recorder(), prompts(20), []
    sent = await send_all(wanted, sender, lambda: told.append(1))
    assert Counter(sender.orders) == {(route, prompt.prompt): 1 for prompt in wanted for route in ROUTES}
    assert len(sent) == len(told) == 60
    assert all(one.is_good for one in sent)
