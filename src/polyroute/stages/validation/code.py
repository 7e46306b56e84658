"""Accepts a response whose code parses and, where it is asked for, does what the question's own examples say.

Code is taken out of its fences. A continuation of the question's own code, such as the body of a function whose head
was given, is read behind it. Examples are run in a `Sandbox` only, never in this process.
"""

import ast
from collections.abc import Iterator
from textwrap import dedent, indent
from typing import ClassVar

from msgspec import Struct

from polyroute.stages.validation.parsing import Parsers
from polyroute.stages.validation.sandbox import Sandbox
from polyroute.stages.validation.texts import code_in
from polyroute.types.request import Request
from polyroute.types.response import Response
from polyroute.types.routing import Verdict

_INLINE = 4_000  # characters: parsed in less than a millisecond, however they are nested
_ALSO = {"python": ("python", "py", "python3"), "javascript": ("javascript", "js", "jsx", "mjs", "node")}


class Code(Struct, frozen=True, kw_only=True):
    name: ClassVar[str] = "code"

    parsers: Parsers
    language: str = "python"
    run_examples: Sandbox | None = None

    async def judge(self, request: Request, response: Response) -> Verdict:
        asked, labels = request.last_user_text, _ALSO.get(self.language, (self.language,))
        code = code_in(response.text, labels)
        if not code.strip():
            return _rejected("the answer holds no code")
        program = code
        fault = await self._fault(code)
        for continued in _continued(code_in(asked, labels), code) if fault is not None else ():
            if await self._fault(continued) is None:
                fault, program = None, continued
                break
        if fault is not None:
            return _rejected(fault)
        if self.run_examples is None:
            return Verdict(gate=self.name, accepted=True, score=1.0)
        return await self._tried(self.run_examples, asked, program)

    async def _tried(self, sandbox: Sandbox, asked: str, program: str) -> Verdict:
        outcome = await sandbox.run(asked, program)
        if outcome.examples == 0 and outcome.fault is None:
            return Verdict(gate=self.name, accepted=True, score=1.0, reasons=("the question holds no examples",))
        if outcome.fault is None and outcome.passed == outcome.examples:
            return Verdict(gate=self.name, accepted=True, score=1.0)
        score = outcome.passed / outcome.examples if outcome.examples else 0.0
        counted = f"{outcome.passed} of {outcome.examples} examples come out"
        reasons = (counted,) if outcome.fault is None else (counted, outcome.fault)
        return Verdict(gate=self.name, accepted=False, score=score, reasons=reasons)

    async def _fault(self, code: str) -> str | None:
        if self.language != "python":
            return (await self.parsers.parse("grammar", code, {"language": self.language})).reason
        if len(code) > _INLINE:
            return (await self.parsers.parse("python", code)).reason
        try:
            ast.parse(code)
        except SyntaxError as exc:
            return f"Python: {exc.msg} at line {exc.lineno}"
        except (RecursionError, MemoryError):
            return "Python: nested too deeply"
        except ValueError as exc:  # a null byte
            return f"Python: {exc}"
        return None


def _continued(given: str, code: str) -> Iterator[str]:
    """`code` behind the code that was given, as it is, and as far in as that ends."""
    if given.strip():
        yield given + code
        last = given.rstrip().rpartition("\n")[2]
        margin = last[: len(last) - len(last.lstrip())]
        yield f"{given.rstrip()}\n{indent(dedent(code), margin)}"
        first, _, rest = code.strip("\n").partition("\n")  # whose first line lost its blanks, as trimmed answers do
        yield f"{given.rstrip()}\n{margin}{first.strip()}\n{indent(dedent(rest), margin)}"


def _rejected(reason: str) -> Verdict:
    return Verdict(gate="code", accepted=False, score=0.0, reasons=(reason,))
