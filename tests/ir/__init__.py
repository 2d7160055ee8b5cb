"""Tests of the array IR."""
