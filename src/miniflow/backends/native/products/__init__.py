"""Matrix products in machine code.

Read in this order: `micro_kernel` (a tile of the result in registers), `epilogue` (what is made of
it before it is stored), `driver` (the loops round both), `packing`, `blocking` (how a product is
cut), `plan` (from operands as they lie to a step), `steps` (from a product of a loop program to
that); of convolutions, `in_place` and `print_in_place` (windows that are read in the images) and
`gather_windows` (others); `fitted` and `print_fitted` have products whose function is written for
their shape, `dot` that of two vectors.

The texts are final: no pass of LLVM's runs over them. A micro-kernel is compiled once for a size of
tile, and serves all products, as the driver does; a fitted product is short enough to be worth a
text of its own.
"""
