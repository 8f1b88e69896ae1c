"""Make `python -m madlab` the same as the command `madlab`."""

import sys


def main() -> int:
    """Run the command line; where a library that it needs is missing, say what is to mend."""
    try:
        from madlab.cli import main as command
    except ImportError as error:
        from madlab import doctor

        print(doctor.table(doctor.examine()))
        print(f"madlab: {error}", file=sys.stderr)
        return 1
    return command()


if __name__ == "__main__":
    sys.exit(main())
