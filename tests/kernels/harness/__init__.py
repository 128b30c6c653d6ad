"""Kernel sources on the host: the same text, compiled by g++ with sanitizers, threads of a block as fibres."""
