"""Make `python -m madlab` the same as the command `madlab`."""

from madlab.cli import main

raise SystemExit(main())
