"""Lowering: from a program to what a code generator needs: groups of equations, and memory."""
