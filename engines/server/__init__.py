"""Engines that ask a server over HTTP."""
