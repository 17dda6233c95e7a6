"""Adapting a bundle's retrievers to a corpus. May import hybridret; hybridret never imports it."""
