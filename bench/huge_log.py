"""One rollout of several gigabytes: `python -m bench.huge_log [MEGABYTES]`.

Memory must not grow with the log, plain or compressed, and what is booked must be what was written.
Reading goes on in another process, so that its peak is its own. Beside it: the same bytes through
`read` alone. The last line is JSON.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zstandard

from codex_watcher.scan import plan
from telemhq_agents.usage import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

THREAD = "01a1f7e3-50fe-7031-bc55-04e9c5bfde6b"
TURN = "01a1f7e3-5124-7752-b53a-8eb7f1032af4"
HEAD = '{"timestamp":"2026-11-20T07:35:28.753Z","ordinal":%d,"type":'
ITEM_BYTES = 6000


class Nowhere:
    def place(self, cwd: str, repository: str = "") -> Place:
        return Place(cwd, repository, repository)


def main() -> None:
    if sys.argv[1:2] == ["read"]:
        print(json.dumps(read(Path(sys.argv[2]))))
        return
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    told = {}
    with tempfile.TemporaryDirectory() as place:
        for name, size in (("plain", megabytes), ("a tenth of it", megabytes // 10)):
            told[name] = measured(Path(place) / name.replace(" ", "-"), size, is_packed=False)
        told["compressed"] = measured(Path(place) / "packed", megabytes, is_packed=True)
    print(json.dumps(told))


def measured(home: Path, megabytes: int, *, is_packed: bool) -> dict[str, Any]:
    path = home / "sessions" / f"rollout-2026-11-20T07-37-12-{THREAD}.jsonl"
    path.parent.mkdir(parents=True)
    truth = write(path, megabytes << 20)
    began = time.perf_counter()
    through = sum(1 for _ in pieces(path))
    bare_s = time.perf_counter() - began
    if is_packed:
        with path.open("rb") as plain, Path(f"{path}.zst").open("wb") as packed:
            zstandard.ZstdCompressor(level=3).copy_stream(plain, packed)
        path.unlink()
    done = subprocess.run(
        [sys.executable, "-m", "bench.huge_log", "read", str(home)],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout) | {"bare_read_s": bare_s, "blocks": through}
    found["is_exact"] = found["input_tokens"] == truth
    print(f"{home.name}: {megabytes} MB", found)
    return found


def write(path: Path, size: int) -> int:
    """Write a log of about that size; return the input tokens that it was billed."""
    text = "x" * ITEM_BYTES
    truth = number = 0
    with path.open("w") as stream:
        stream.write(HEAD % 0 + f'"session_meta","payload":{{"id":"{THREAD}","cwd":"/r"}}}}\n')
        context = f'"turn_context","payload":{{"turn_id":"{TURN}","model":"gpt-5.3-codex"}}}}\n'
        stream.write(HEAD % 1 + context)
        while stream.tell() < size:
            number += 1
            item = f'"response_item","payload":{{"type":"message","text":"{text}"}}}}\n'
            usage = f'{{"input_tokens":{1000 + number % 7},"output_tokens":3}}'
            ids = f'"thread_id":"{THREAD}","turn_id":"{TURN}","response_id":"r{number}"'
            stream.write(HEAD % (2 * number) + item)
            record = f'"token_usage_record","payload":{{{ids},"usage":{usage}}}}}\n'
            stream.write(HEAD % (2 * number + 1) + record)
            truth += 1000 + number % 7
    return truth


def pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as stream:
        yield from iter(lambda: stream.read(1 << 18), b"")


def read(home: Path) -> dict[str, Any]:
    began, cpu = time.perf_counter(), time.process_time()
    facts = tokens = parts = 0
    (job,) = plan({}, home, Nowhere(), now_ms=1_900_000_000_000).jobs
    for part in job.read():
        parts += 1
        facts += len(part.facts)
        tokens += sum(fact.input_tokens for fact in part.facts)
    return {
        "wall_s": round(time.perf_counter() - began, 3),
        "cpu_s": round(time.process_time() - cpu, 3),
        "parts": parts,
        "responses": facts,
        "input_tokens": tokens,
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


if __name__ == "__main__":
    main()
