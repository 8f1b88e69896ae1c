#!/bin/sh
# Make sure that there is a Chromium for the browser tests; install one where there is none.
set -eu
for name in chromium chromium-browser google-chrome google-chrome-stable; do
  if command -v "$name" >/dev/null; then exit 0; fi
done
find_own='
from pathlib import Path
from playwright.sync_api import sync_playwright
with sync_playwright() as tools:
    raise SystemExit(not Path(tools.chromium.executable_path).exists())
'
if .venv/bin/python -c "$find_own"; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update
  apt-get install -y --no-install-recommends chromium fonts-dejavu-core
else
  .venv/bin/python -m playwright install chromium
fi
