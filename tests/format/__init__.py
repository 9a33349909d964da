"""Tests of nvcodec.format."""
