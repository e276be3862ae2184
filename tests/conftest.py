"""The plugin is tested through pytester: whole pytest runs in a folder of their own."""

pytest_plugins = ["pytester"]
