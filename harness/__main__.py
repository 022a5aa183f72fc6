"""`python -m harness` is `coldstart`."""

from harness.cli import main

if __name__ == "__main__":
    main()
