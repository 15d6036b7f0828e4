"""`python -m medbench` is `medbench`."""

from .cli import main

if __name__ == "__main__":
    main()
