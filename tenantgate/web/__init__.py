"""The routes of the page; its templates and files live in the top-level `admin_ui/`."""
