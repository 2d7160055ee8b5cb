"""Recording a graph: its nodes' own forward and backward, run with tracers, become a program."""
