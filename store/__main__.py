"""``python -m store rescue FILE``: take what is sound of a damaged database into a new one."""

import argparse
import sys

from .errors import StoreError
from .rescue import rescue


def main() -> int:
    """Run the command; returns the exit code: 2 and one sentence on stderr for what the caller can mend."""
    parser = argparse.ArgumentParser(prog="python -m store", description=__doc__)
    parser.add_argument("command", choices=["rescue"])
    parser.add_argument("file")
    args = parser.parse_args()
    try:
        rescued = rescue(args.file)
    except StoreError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"Taken over: {', '.join(f'{count} {name}' for name, count in rescued.rows.items() if count)}.")
    for table in rescued.torn:
        print(f"Not all of {table} could be read.")
    for title in rescued.damaged:
        print(f"The text of “{title}” is damaged: add the same file again to mend it.")
    print(f"The damaged file is now {rescued.aside}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
