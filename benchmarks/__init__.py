"""Measurements. Each module is a command; its results are committed under ``results`` as JSON."""
