"""Proxies, one a file, each with the configuration of docs/proxies.md."""
