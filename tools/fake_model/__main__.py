"""`python -m tools.fake_model [--port N]`: serve until interrupted; each request is one JSON line."""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from dataclasses import asdict

from tools.fake_model.plays import REPERTOIRE
from tools.fake_model.server import serving


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    with serving(port=parser.parse_args().port) as model, contextlib.suppress(KeyboardInterrupt):
        plays = ", ".join(f"play:{name}" for name in REPERTOIRE)
        print(f"listening on {model.address}; prompts: {plays}", flush=True)
        told = 0
        while True:
            for entry in model.handed[told:]:
                print(json.dumps(asdict(entry)), flush=True)
                told += 1
            time.sleep(0.05)


if __name__ == "__main__":
    main()
