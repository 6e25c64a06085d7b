"""`python -m tenantgate` is `tenantgate`."""

from tenantgate.cli import main

if __name__ == "__main__":
    main()
